"""The loss of self-supervised training, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastmri_clgnet.losses import ssdu_loss


@pytest.fixture
def case(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prediction, measurement and held-out columns of 3 slices of 2 coils, in the data's units."""
    predicted, measured = 1e-5 * torch.randn(
        2, 3, 2, 16, 11, 2, generator=generator, dtype=torch.float64
    )
    return predicted, measured, torch.rand(3, 1, 1, 11, 1, generator=generator) < 0.5


def test_against_numpy(case: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    predicted, measured, held_out = case
    values = []
    for i in range(3):
        columns = held_out[i].flatten().numpy()
        v, u = (torch.view_as_complex(each[i]).numpy()[..., columns] for each in case[:2])
        values.append(
            np.sqrt((np.abs(u - v) ** 2).sum()) / np.sqrt((np.abs(u) ** 2).sum())
            + np.abs(u - v).sum() / np.abs(u).sum()
        )
    assert ssdu_loss(predicted, measured, held_out).item() == pytest.approx(np.mean(values))
    single = ssdu_loss(predicted.float(), measured.float(), held_out)
    assert single.item() == pytest.approx(np.mean(values), rel=1e-5)


def test_other_columns_do_not_count(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    predicted, measured, held_out = case
    predicted.requires_grad_()
    ssdu_loss(predicted, measured, held_out).backward()
    assert predicted.grad is not None
    counts = predicted.grad.ne(0).any(dim=-1, keepdim=True)
    assert (counts == held_out).all()


def test_equal_zero_and_scaled(case: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    predicted, measured, held_out = case
    assert ssdu_loss(measured, measured, held_out) == 0
    assert ssdu_loss(torch.zeros_like(measured), measured, held_out).item() == pytest.approx(2)
    expected = ssdu_loss(predicted, measured, held_out)
    torch.testing.assert_close(ssdu_loss(1e3 * predicted, 1e3 * measured, held_out), expected)


def test_a_slice_without_signal_counts_as_nothing(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    predicted, measured, held_out = case
    measured[1] = 0
    predicted.requires_grad_()
    loss = ssdu_loss(predicted, measured, held_out)
    loss.backward()
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()
    assert not predicted.grad[1].any()
    others = ssdu_loss(predicted[::2], measured[::2], held_out[::2])
    torch.testing.assert_close(loss, others * 2 / 3)
    # equal values, where the norms have no derivative
    same = measured.clone().requires_grad_()
    ssdu_loss(same, measured, held_out).backward()
    assert same.grad is not None
    assert torch.isfinite(same.grad).all()


def test_gradient(case: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    predicted, measured = (each[:1, :, :4] for each in case[:2])
    predicted = (1e5 * predicted).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda values: ssdu_loss(values, 1e5 * measured, case[2][:1]), predicted
    )


def test_a_batch_is_the_mean_of_its_slices(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    whole = ssdu_loss(*case)
    single = [ssdu_loss(*(each[i : i + 1] for each in case)) for i in range(3)]
    torch.testing.assert_close(whole, torch.stack(single).mean())


def test_lower_precision_is_computed_in_float32(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    predicted, measured, held_out = case
    half = predicted.bfloat16()
    expected = ssdu_loss(half.float(), measured.float(), held_out)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ssdu_loss(half, measured.float(), held_out)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)
