"""The figures of `benchmarks.synthesis` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import markdown_table

_WAYS = {
    "a": "(a) one model, one photograph",
    "b": "(b) one model, all photographs",
    "c": "(c) `torch.func.vmap` over seeds of an architecture",
    "d": "(d) modelprint",
    "e": "(e) modelprint in bfloat16",
}


def tables(record: Mapping[str, Any]) -> str:
    """Markdown tables of a record that `benchmarks.synthesis.measure` made."""
    machine = record["environment"]["machine"]
    where = machine["accelerator"] or f"{machine['cpu']}, {machine['torch_threads']} threads"
    top, work = record["ceilings"], record["work_of_all_models_on_one_photograph"]
    head = (
        f'{record["models"]} models of the space "{record["space"]}", {record["photos"]} '
        f"photographs of {record['size_px']} pixels, {where}, backend "
        f"{record['backend']['name']}. Ceilings: {top['gflop_s']:.0f} GFLOP/s (matrix product "
        f"{top['matmul_gflop_s']:.0f}, convolution {top['convolution_gflop_s']:.0f}), copies "
        f"{top['copy_gb_s']:.0f} GB/s. An image takes "
        f"{work['gflop'] / record['models']:.2f} GFLOP as the models are defined."
    )
    load = record["load_average_before"]
    if load is not None and load > 0.25 * machine["cores"]:
        head += f" The machine was not idle (load {load:.1f}): these figures are not to be quoted."
    return "\n\n".join(
        [
            head,
            _ways(record["ways"], record["equality"]),
            _growth(record["growth_with_models"], record["growth_with_photos"]),
            _fits(record["fits"], record["sample"]),
        ]
    )


def _ways(ways: Mapping[str, Any], equality: Mapping[str, Any]) -> str:
    return markdown_table(
        [
            *("way", "ms per image", "quartiles", "images/s", "times (a)", "of arithmetic"),
            *("of copying", "peak MB", "largest difference", "mean difference"),
        ],
        [
            [
                _WAYS[name],
                f"{way['ms_per_image']:.3g}",
                "-".join(
                    f"{q / way['median_s'] * way['ms_per_image']:.3g}" for q in way["quartiles_s"]
                ),
                f"{way['images_per_s']:.0f}",
                f"{way['times_faster_than_a']:.2f}",
                f"{way['share_of_arithmetic_ceiling']:.0%}",
                f"{way['share_of_copy_ceiling']:.0%}",
                f"{way['peak_bytes'] / 1e6:.0f}",
                f"{equality[name]['largest_difference_grey_levels']} of 255",
                f"{equality[name]['mean_difference_grey_levels']:.2g}",
            ]
            for name, way in ways.items()
        ],
    )


def _growth(models: Sequence[Mapping[str, Any]], photos: Sequence[Mapping[str, Any]]) -> str:
    drawn = markdown_table(
        ["drawn, fitted and rendered", "photographs", "seconds", "ms per model", "peak MB"],
        [
            [
                f"{point['models']} models",
                str(point["photos"]),
                f"{point['seconds']:.2f}",
                f"{point['ms_per_model']:.1f}",
                f"{point['peak_bytes'] / 1e6:.0f}",
            ]
            for point in models
        ],
    )
    rendered = markdown_table(
        ["rendered alone", "photographs", "ms per image", "peak MB"],
        [
            [
                f"{point['models']} models",
                str(point["photos"]),
                f"{point['ms_per_image']:.3g}",
                f"{point['peak_bytes'] / 1e6:.0f}",
            ]
            for point in photos
        ],
    )
    return f"{drawn}\n\n{rendered}"


def _fits(fits: Mapping[str, Any], sample: Mapping[str, Any]) -> str:
    table = markdown_table(
        ["fit", "seconds per model", "times faster than 83 s", "5 760 models", "measured on"],
        [
            ["the paper, RTX 3090", "83", "1", "133 h", "reported"],
            *(
                [
                    f'`fit="{name}"`',
                    f"{fit['seconds_per_model']:.3g}",
                    f"{fit['times_faster_than_the_paper']:.0f}",
                    f"{fit['minutes_for_5760']:.1f} min",
                    f"{fit['models_measured']} models",
                ]
                for name, fit in fits.items()
            ),
        ],
    )
    took = ", ".join(
        f"{seconds:.3f} s ({name.rpartition('_')[2]})" for name, seconds in sample.items()
    )
    return f"{table}\n\n`sample(5760)`: {took}."
