import numpy as np
import pytest
import torch

from modelprint.features.box_filter import box_sum


@pytest.mark.parametrize("side", [1, 2, 3, 9])
@pytest.mark.parametrize("shape", [(9, 9), (2, 11, 10), (2, 3, 9, 30)])
def test_every_window_is_summed(side, shape):
    x = torch.from_numpy(np.random.default_rng(0).random(shape, np.float32))
    before = x.clone()
    windows = np.lib.stride_tricks.sliding_window_view(
        x.double().numpy(), (side, side), axis=(-2, -1)
    )
    np.testing.assert_allclose(box_sum(x, side), windows.sum((-2, -1)), rtol=1e-5)
    assert torch.equal(x, before)
