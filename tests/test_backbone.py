import numpy as np
import pytest
import tiny
import torch

from modelprint.backbone import SpectrumResNet, WhitenedStatistics, build_backbone
from modelprint.errors import InvalidOptionError
from modelprint.extractor import bundled_extractor
from modelprint.features.common_scale import shrunk
from modelprint.features.recompression import recompressed
from modelprint.features.residual_statistics import residual_statistics, statistics_count
from modelprint.features.resnet import DEPTHS, ResNet
from modelprint.residual import high_pass


def images(n: int, *size: int, seed: int = 0) -> torch.Tensor:
    return tiny.photos(n, *size, seed=seed).float() / 255


def whitened() -> WhitenedStatistics:
    backbone = WhitenedStatistics(20)
    backbone.mean = residual_statistics(images(2, 32, 32, seed=1))
    backbone.deviation = tiny.numbers(2, statistics_count(), seed=2).abs() + 0.05
    backbone.projection = tiny.numbers(statistics_count(), 5, seed=3)
    return backbone.eval()


def network(log: bool = False) -> SpectrumResNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = SpectrumResNet(10, 2, log)
        backbone(images(4, 64, 64))  # so that the batch norms have statistics
    return backbone.eval()


@pytest.mark.parametrize("make", [whitened, network])
@pytest.mark.parametrize("size", [(32, 32), (33, 50), (141, 130)])
def test_a_row_depends_on_its_image_alone(make, size):
    backbone, batch = make(), images(3, *size)
    with torch.no_grad():
        together = backbone(batch)
        assert together.shape == (3, backbone.dim)
        assert together.dtype == torch.float32
        for number in range(3):
            alone = backbone(batch[number : number + 1])[0]
            torch.testing.assert_close(alone, together[number], atol=1e-3, rtol=1e-3)


def part_by_hand(backbone: WhitenedStatistics, view: torch.Tensor, scale: int) -> np.ndarray:
    statistics = residual_statistics(view).double().numpy()
    mean, deviation = backbone.mean[scale].double(), backbone.deviation[scale].double()
    deviations = (statistics - mean.numpy()) / deviation.numpy()
    assert np.abs(deviations).max() > 8
    part = np.clip(deviations, -8, 8) @ backbone.projection.double().numpy()
    return part / np.linalg.norm(part, axis=1, keepdims=True)


def test_a_fingerprint_has_a_part_of_the_image_two_of_copies_and_one_at_the_common_scale():
    backbone, batch = whitened(), images(2, 100, 90)
    own, at_75, at_90 = (
        part_by_hand(backbone, view, 0)
        for view in (batch, recompressed(batch, 75), recompressed(batch, 90))
    )
    small = part_by_hand(backbone, shrunk(batch, 64 / 90), 1)
    expected = np.concatenate([own, at_75, at_90, small], 1)
    np.testing.assert_allclose(backbone(batch).numpy(), expected, rtol=1e-3, atol=2e-3)


def test_an_image_that_was_compressed_before_is_trusted_less():
    backbone, batch = bundled_extractor().backbone, images(2, 128, 128)
    device = next(backbone.buffers()).device

    def trust(pixels: torch.Tensor) -> torch.Tensor:
        return backbone.views.take_apart(backbone(pixels.to(device)).cpu()).trust

    assert (trust(recompressed(batch, 85)) < 0.5 * trust(batch)).all()


@pytest.mark.parametrize("log", [False, True])
def test_the_network_sees_the_centred_spectrum_of_the_residual(log, monkeypatch):
    seen = []
    backbone = network(log)
    monkeypatch.setattr(backbone, "input_norm", torch.nn.Identity())
    monkeypatch.setattr(backbone.resnet, "forward", lambda x: seen.append(x) or x.mean((2, 3)))
    backbone.dim = 3
    batch = images(1, 32, 32)
    backbone(batch)
    residual = high_pass(batch)[0].double().numpy()
    for channel in range(3):
        magnitude = np.abs(np.fft.fftshift(np.fft.fft2(residual[channel])))
        expected = np.log(magnitude + 1e-3) if log else magnitude / 32
        np.testing.assert_allclose(seen[0][0, channel], expected, rtol=1e-3, atol=1e-3)


def test_the_network_averages_up_to_nine_crops_that_reach_the_edges():
    backbone, image = network(), images(1, 200, 192)
    with torch.no_grad():
        before = backbone(image)
        for row, column in ((0, 0), (0, 191), (199, 0), (199, 191), (100, 96)):
            changed = image.clone()
            changed[0, :, row, column] = 1 - changed[0, :, row, column]
            assert not torch.equal(backbone(changed), before)


@pytest.mark.parametrize("depth", list(DEPTHS))
def test_a_resnet_has_as_many_layers_as_its_name_says(depth):
    resnet = ResNet(depth, channels=4, width=2)
    convolutions = [
        name
        for name, module in resnet.named_modules()
        if isinstance(module, torch.nn.Conv2d) and "shortcut" not in name
    ]
    assert len(convolutions) + 1 == depth, "and one for the classifier"
    assert resnet.features == 2 * 8 * (4 if depth == 50 else 1)
    assert resnet.eval()(tiny.numbers(2, 4, 40, 40)).shape == (2, resnet.features)


def test_the_papers_resnet_has_the_size_of_resnet_50_without_its_classifier():
    assert sum(p.numel() for p in ResNet(50).parameters()) == 25_557_032 - 2_049_000


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("nope", {}, "spectrum-resnet.*whitened-statistics.*'nope'"),
        ("whitened-statistics", {}, "dim: int, got {}"),
        ("whitened-statistics", {"dim": 4, "colour": 1}, "dim: int.*colour"),
        ("whitened-statistics", {"dim": "4"}, "dim: int, got"),
        ("whitened-statistics", {"dim": 0}, "multiple of 4 between 4 and"),
        ("whitened-statistics", {"dim": -4}, "multiple of 4 between 4 and"),
        ("whitened-statistics", {"dim": 6}, "multiple of 4 .* got 6"),
        ("whitened-statistics", {"dim": 10**12}, "multiple of 4 between 4 and"),
        ("spectrum-resnet", {"depth": 10, "width": 2}, "log: bool"),
        ("spectrum-resnet", {"depth": 10, "width": 2, "log": 1}, "log: bool"),
        ("spectrum-resnet", {"depth": 19, "width": 2, "log": True}, "depth in .*got 19"),
        ("spectrum-resnet", {"depth": 10, "width": 0, "log": True}, "width between 1 and"),
        ("spectrum-resnet", {"depth": 10, "width": 10**6, "log": True}, "width between 1 and"),
    ],
)
def test_a_bad_option_is_a_clear_error(name, options, said):
    with pytest.raises(InvalidOptionError, match=said):
        build_backbone(name, options)
