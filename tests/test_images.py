import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modelprint.errors import ImageNotFoundError, InvalidImageError, InvalidOptionError
from modelprint.images import MIN_SIDE_PX, LoadedImage, iter_sources, load_image


def picture(height=40, width=48, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_array_becomes_planes_in_rgb_order():
    array = picture()
    image = load_image(array)
    assert image.pixels.shape == (3, 40, 48)
    assert image.pixels.dtype == torch.uint8
    assert image.pixels.is_contiguous()
    assert np.array_equal(image.pixels.numpy(), array.transpose(2, 0, 1))
    assert (image.name, image.format, image.warnings) == ("<array>", "array", ())


def test_same_picture_has_one_hash_whatever_brought_it(tmp_path):
    array = picture()
    pil = Image.fromarray(array)
    pil.save(tmp_path / "a.png")
    pil.save(tmp_path / "b.bmp")
    pil.save(tmp_path / "c.webp", lossless=True)
    pil.save(tmp_path / "d.tif", compression="tiff_lzw")
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    sources = [
        array,
        np.asfortranarray(array),
        pil,
        pil.convert("RGBA"),
        Image.open(tmp_path / "a.png"),
        tmp_path / "a.png",
        str(tmp_path / "b.bmp"),
        tmp_path / "c.webp",
        tmp_path / "d.tif",
        tensor,
        tensor.contiguous(),
        tensor.float() / 255,
        tensor.double() / 255,
        tensor.half() / 255,
    ]
    loaded = [load_image(source) for source in sources]
    assert len({image.sha256 for image in loaded}) == 1
    assert {image.warnings for image in loaded} == {()}
    formats = [image.format for image in loaded]
    assert formats[:1] + formats[4:] == (
        ["array", "PIL", "PNG", "BMP", "WEBP", "TIFF", "tensor", "tensor"] + ["tensor"] * 3
    )


def test_hash_tells_pictures_and_shapes_apart():
    array = picture(40, 48)
    other = array.copy()
    other[7, 9, 1] ^= 1
    black = np.zeros((32, 64, 3), np.uint8)
    hashes = [load_image(a).sha256 for a in (array, other, black, black.reshape(64, 32, 3))]
    assert len(set(hashes)) == 4


@pytest.mark.parametrize("kind", ["array", "transposed array", "uint8", "float"])
def test_pixels_never_share_memory_with_the_source(kind):
    planes = np.ascontiguousarray(picture().transpose(2, 0, 1))
    source = {
        "array": picture(),
        "transposed array": planes.transpose(1, 2, 0),  # its planes are contiguous already
        "uint8": torch.from_numpy(planes),
        "float": torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(0)),
    }[kind]
    image = load_image(source)
    before = image.pixels.clone()
    source[:] = 0
    assert torch.equal(image.pixels, before)
    assert before.any()


def test_read_only_and_reversed_arrays_are_accepted():
    array = picture()
    array.flags.writeable = False
    assert np.array_equal(load_image(array[::-1]).pixels.numpy(), array[::-1].transpose(2, 0, 1))


def test_floats_are_quantised_to_the_nearest_byte():
    values = torch.full((3, 32, 32), 0.0)
    values[0, 0, :6] = torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 100.4 / 255, 254.6 / 255, 1.0])
    assert load_image(values).pixels[0, 0, :6].tolist() == [0, 0, 1, 100, 255, 255]
    coarse = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1)).bfloat16()
    assert load_image(coarse).sha256 == load_image(coarse.float()).sha256
    tracked = values.clone().requires_grad_()
    image = load_image(tracked)
    assert image.sha256 == load_image(values).sha256
    assert torch.equal(tracked, values)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), -0.01, 1.01, 255.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_single_value_outside_of_the_range_is_refused(bad, dtype):
    values = torch.full((3, 32, 32), 0.5, dtype=dtype)
    values[1, 3, 5] = bad
    with pytest.raises(InvalidImageError, match=r"^x: expected floats in \[0, 1\], got values"):
        load_image(values, name="x")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((40, 48), np.uint8), r"got \(40, 48\). Repeat the grey channel"),
        (np.zeros((40, 48, 1), np.uint8), "Repeat the grey channel"),
        (np.zeros((3, 40, 48), np.uint8), "Move the channels last"),
        (np.zeros((40, 48, 4), np.uint8), "with alpha as a PIL image"),
        (np.zeros((2, 40, 48, 3), np.uint8), "one image at a time"),
        (np.zeros(7, np.uint8), "one image at a time"),
        (np.float32(1.0) * np.ones((40, 48, 3)), r"got float64. Floats in \[0, 1\] become bytes"),
        (np.zeros((40, 48, 3), np.uint16), "got uint16. 16-bit pixels become bytes"),
        (np.zeros((40, 48, 3), np.int64), r"use array.astype\(np.uint8\)"),
        (np.zeros((40, 48, 3), bool), "got bool. If the values"),
        (np.full((40, 48, 3), None), "got object. If the values"),
        (np.zeros((31, 48, 3), np.uint8), "at least 32 pixels a side, got 48 x 31"),
        (np.zeros((0, 48, 3), np.uint8), "at least 32 pixels a side"),
    ],
)
def test_wrong_arrays_say_what_to_do(array, message):
    with pytest.raises(InvalidImageError, match=rf"^image 3: expected .*{message}"):
        load_image(array, name="image 3")


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(40, 48), r"got \(40, 48\). Repeat the grey channel"),
        (torch.zeros(1, 40, 48), "Repeat the grey channel"),
        (torch.zeros(40, 48, 3), "Move the channels first"),
        (torch.zeros(4, 40, 48), "Drop the alpha channel"),
        (torch.zeros(2, 3, 40, 48), "one image at a time"),
        (torch.zeros(3, 40, 48, dtype=torch.int64), r"got torch.int64. .*to\(torch.uint8\)"),
        (torch.zeros(3, 40, 48, dtype=torch.bool), "got torch.bool"),
        (torch.zeros(3, 40, 48, dtype=torch.complex64), "got torch.complex64"),
        (torch.zeros(3, 40, 48, device="meta"), "holds values, got .* on device meta"),
        (torch.zeros(3, 40, 48).to_sparse(), "dense tensor .* got layout torch.sparse_coo"),
        (torch.zeros(3, 40, 31), "at least 32 pixels a side, got 31 x 40"),
    ],
)
def test_wrong_tensors_say_what_to_do(tensor, message):
    with pytest.raises(InvalidImageError, match=rf"^<tensor>: expected .*{message}"):
        load_image(tensor)


@pytest.mark.parametrize("source", [None, 5, b"\x89PNG", [1, 2], ("a.png", 0), np.float32(1)])
def test_what_is_no_image_is_refused(source):
    with pytest.raises(InvalidImageError, match=r"^<image>: expected a path, a PIL image"):
        load_image(source)


def test_open_files_are_refused_with_advice(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as file:
        with pytest.raises(InvalidImageError, match="Give its path"):
            load_image(file)
        with pytest.raises(InvalidImageError, match="Give its path"):
            iter_sources(file)


def test_max_pixels_is_a_limit_and_is_checked_itself():
    assert load_image(picture(40, 48), max_pixels=40 * 48).pixels.shape == (3, 40, 48)
    for source in (picture(40, 48), torch.zeros(3, 40, 48), Image.new("L", (48, 40))):
        with pytest.raises(InvalidImageError, match="at most 1,919 pixels, got 48 x 40"):
            load_image(source, max_pixels=40 * 48 - 1)
    for bad in (0, -1, MIN_SIDE_PX**2 - 1, 1e8, "1000000", True):
        with pytest.raises(InvalidOptionError, match="max_pixels: expected an integer"):
            load_image(picture(), max_pixels=bad)


def test_a_loaded_image_is_returned_as_it_is():
    image = load_image(picture(), name="first")
    assert load_image(image, name="second", max_pixels=1024) is image


def test_loaded_images_are_values():
    image, same, other = (load_image(picture(seed=seed)) for seed in (0, 0, 1))
    assert image == same
    assert hash(image) == hash(same)
    assert image != other
    assert "pixels" not in repr(image)
    with pytest.raises(AttributeError):
        image.name = "other"


def test_flat_share_counts_right_neighbours_equal_in_all_channels():
    assert load_image(np.full((32, 40, 3), 7, np.uint8)).flat_share == 1.0
    array = picture(32, 40, seed=5)
    array[:, 20:] //= 128  # few values, so that some neighbours agree
    expected = 0
    for y in range(32):
        for x in range(39):
            expected += all(array[y, x, c] == array[y, x + 1, c] for c in range(3))
    assert 0 < expected < 32 * 39
    assert load_image(array).flat_share == pytest.approx(expected / (32 * 39))


def test_a_folder_gives_its_images_sorted(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.webp", "notes.txt", ".hidden.png", "png"):
        Image.fromarray(picture()).save(tmp_path / name, format="PNG")
    (tmp_path / "sub.png").mkdir()
    Image.fromarray(picture()).save(tmp_path / "sub.png" / "d.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    paths = [str(tmp_path / name) for name in ("a.jpg", "b.PNG", "c.webp", "dangling.png")]
    for folder in (tmp_path, str(tmp_path), f"{tmp_path}{os.sep}"):
        assert list(iter_sources(folder)) == [(path, path) for path in paths]
    assert load_image(paths[0]).format == "PNG"  # the content counts, not the suffix
    with pytest.raises(ImageNotFoundError, match=r"dangling\.png: there is no such file"):
        load_image(paths[3])


def test_an_empty_folder_gives_nothing(tmp_path):
    assert list(iter_sources(tmp_path)) == []


@pytest.mark.parametrize("path", ["nowhere.png", "", "a\0b", "x" * 5000, "no/such/folder"])
def test_any_other_path_is_one_image(path):
    assert list(iter_sources(path)) == [(path or "''", path)]


def test_one_image_of_any_type():
    loaded = load_image(picture(), name="x")
    pil = Image.fromarray(picture())
    array, tensor = picture(), torch.zeros(3, 40, 48)
    for source, name in (
        (loaded, "x"),
        (pil, "<PIL image>"),
        (array, "<array>"),
        (tensor, "<tensor>"),
        (Path("a.png"), "a.png"),
    ):
        [(found_name, found)] = iter_sources(source)
        assert found is source
        assert found_name == name


def test_pillow_images_keep_the_name_of_their_file(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(picture()).save(path)
    with Image.open(path) as image:
        assert load_image(image).name == str(path)
        assert [name for name, _ in iter_sources([image])] == [str(path)]


def test_stacks_are_taken_apart():
    arrays = np.stack([picture(seed=seed) for seed in range(3)])
    tensors = torch.from_numpy(arrays).permute(0, 3, 1, 2)
    expected = [load_image(array).sha256 for array in arrays]
    for stack in (arrays, tensors, list(arrays), tuple(tensors), iter(arrays)):
        found = list(iter_sources(stack))
        assert [name for name, _ in found] == ["image 0", "image 1", "image 2"]
        assert [load_image(source).sha256 for _, source in found] == expected
    assert list(iter_sources(arrays[:0])) == []
    assert list(iter_sources(tensors[:0])) == []


def test_iterables_keep_order_and_names():
    loaded = load_image(picture(), name="x")
    found = list(iter_sources(["b.png", picture(), Path("a.png"), loaded]))
    assert [name for name, _ in found] == ["b.png", "image 1", "a.png", "x"]
    assert [name for name, _ in iter_sources(np.array(["b.png", "a.png"]))] == ["b.png", "a.png"]


def test_generators_are_taken_one_at_a_time():
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield picture(seed=len(taken))

    stream = iter_sources(endless())
    assert taken == []
    assert next(stream)[0] == "image 0"
    assert next(stream)[0] == "image 1"
    assert taken == [0, 1]


def test_a_generator_may_reuse_its_buffer():
    def frames():
        buffer = np.zeros((40, 48, 3), np.uint8)
        for seed in range(3):
            buffer[:] = picture(seed=seed)
            yield buffer

    loaded = [load_image(source, name=name) for name, source in iter_sources(frames())]
    assert [i.sha256 for i in loaded] == [load_image(picture(seed=s)).sha256 for s in range(3)]
    assert np.array_equal(loaded[0].pixels.numpy(), picture(seed=0).transpose(2, 0, 1))


@pytest.mark.parametrize("images", [None, 5, 0.5, b"data", bytearray(b"data")])
def test_what_is_not_images_is_refused_at_the_call(images):
    with pytest.raises(InvalidImageError, match=r"^images: expected a path, a PIL image"):
        iter_sources(images)


def test_errors_inside_of_an_iterable_name_the_image():
    stream = iter_sources([picture(), picture()[:, :, 0], ["nested.png"], "."])
    assert isinstance(load_image(next(stream)[1]), LoadedImage)
    for start in ("image 1: expected an array", "image 2: expected a path", r"\.: expected one im"):
        name, source = next(stream)
        with pytest.raises(InvalidImageError, match=f"^{start}"):
            load_image(source, name=name)
