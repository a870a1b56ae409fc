"""A study that is disturbed, its table when nobody disturbed it, and a cluster of nodes without a
shared disk that is started once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Commands, commands
from support.gate import Gates, new_gates
from support.nodes import Nodes, apart
from support.studies import write_study


@pytest.fixture(scope="session")
def fault_gates() -> Gates:
    """Gates of these tests alone: they count who is held there."""
    return new_gates()


@pytest.fixture
def words(tmp_path: Path, fault_gates: Gates) -> Iterator[Commands]:
    with commands(tmp_path / "commands", fault_gates.environment()) as made:
        yield made
    fault_gates.open()


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory, text_model: str) -> Path:
    """Two trials of two epochs, of 18 steps each; both are `small-seed0` to the gates."""
    return write_study(tmp_path_factory.mktemp("studies") / "disturbed.py", text_model, seeds=(0,))


@pytest.fixture(scope="session")
def undisturbed(
    small_study: Path, tmp_path_factory: pytest.TempPathFactory, fault_gates: Gates
) -> Path:
    """The study's folder when one process trained it here, and nothing happened."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with commands(folder, fault_gates.environment()) as made:
        code = made.run("tune", small_study, "--json", "--no-wandb", "--machine", "debug", LOG)
        assert code == 0, made.err
        return Path(json.loads(made.out)["folder"])


LOG = "tracking.log_every=5"


@pytest.fixture(scope="module")
def nodes(data_root: Path, fault_gates: Gates) -> Iterator[Nodes]:
    """A head that trains nothing and two nodes of one CPU, which see none of its files."""
    with apart(data_root.parent, fault_gates.environment(), 0, 1, 1) as made:
        yield made
