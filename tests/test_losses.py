"""Losses against values worked out by hand, and exact over workers."""

import math
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from casas_ray.model.losses import (
    contrastive,
    gather,
    in_batch_accuracy,
    masked_event_loss,
    scores,
)


def test_equal_scores_cost_the_logarithm_of_the_batch():
    assert contrastive(torch.zeros(4, 4)).item() == pytest.approx(math.log(4))


def test_infonce_by_hand():
    # Window 0 is sure of its caption by 2, window 1 by 0.
    loss = contrastive(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    rows = (math.log(math.exp(2) + 1) - 2 + math.log(2)) / 2
    assert loss.item() == pytest.approx(rows)  # the columns hold the same numbers


def test_scores_are_cosines_over_the_temperature():
    a = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    found = scores(a, a, torch.tensor(0.5))
    assert found.flatten().tolist() == pytest.approx([2.0, 1.2, 1.2, 2.0])


def test_an_equal_caption_counts_as_the_windows_own():
    similarity = torch.tensor([[0.1, 0.9, 0.0], [0.0, 0.9, 0.1], [0.9, 0.0, 0.1]])
    captions = torch.tensor([7, 7, 8])  # windows 0 and 1 are described alike
    to_text, to_sensor = in_batch_accuracy(similarity, captions)
    assert to_text.item() == pytest.approx(2 / 3)
    assert to_sensor.item() == pytest.approx(1 / 3)


def test_masked_event_loss_is_the_mean_over_fields_and_events():
    logits = {"a": torch.zeros(2, 4), "b": torch.zeros(2, 8)}
    targets = {"a": torch.tensor([0, 3]), "b": torch.tensor([1, 1])}
    wanted = (math.log(4) + math.log(8)) / 2
    assert masked_event_loss(logits, targets).item() == pytest.approx(wanted)


def all_pairs_loss(sensor, text, log_temperature, logits, targets) -> torch.Tensor:
    unit = torch.nn.functional.normalize
    similarity = scores(
        gather(unit(sensor, dim=-1)), gather(unit(text, dim=-1)), log_temperature.exp()
    )
    mlm = masked_event_loss({"a": logits}, {"a": targets})
    return 0.7 * contrastive(similarity) + 0.3 * mlm


def inputs() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    weight = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    temperature = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    sensor = torch.randn(8, 6, dtype=torch.float64)
    text = torch.randn(8, 5, dtype=torch.float64)
    targets = torch.randint(0, 5, (8, 3))
    return weight, temperature, sensor, text, targets


def counted(targets: torch.Tensor, rows: slice) -> torch.Tensor:
    """Masked events of these rows: the first row of the batch has one, all others three."""
    return torch.cat([row[: 1 if place == 0 else 3] for place, row in enumerate(targets)][rows])


def loss_of(rows: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    weight, temperature, sensor, text, targets = inputs()
    repeat = torch.tensor([1 if place == 0 else 3 for place in range(8)])[rows]
    logits = (sensor[rows] @ weight).repeat_interleave(repeat, 0)
    wanted = counted(targets, rows)
    loss = all_pairs_loss(sensor[rows] @ weight, text[rows], temperature, logits, wanted)
    return loss, weight, temperature


def one_worker(rank: int, size: int, port: int, folder: str) -> None:
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
    share = 8 // size
    loss, weight, temperature = loss_of(slice(rank * share, (rank + 1) * share))
    loss.backward()
    for tensor in (weight, temperature):
        dist.all_reduce(tensor.grad)
        tensor.grad /= size
    torch.save((loss.detach(), weight.grad, temperature.grad), f"{folder}/{rank}.pt")
    dist.barrier()  # a worker that leaves first can abort the others
    dist.destroy_process_group()


@pytest.mark.parametrize("size", [2, 4])
def test_losses_and_gradients_over_workers_are_those_of_one_worker(size: int, tmp_path):
    loss, weight, temperature = loss_of(slice(0, 8))
    loss.backward()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(one_worker, args=(size, port, str(tmp_path)), nprocs=size)
    for rank in range(size):
        found_loss, found_weight, found_temperature = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(found_loss, loss.detach(), rtol=1e-12, atol=0)
        torch.testing.assert_close(found_weight, weight.grad, rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(found_temperature, temperature.grad, rtol=1e-10, atol=1e-14)
