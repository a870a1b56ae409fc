"""How much a way of dealing days flatters, table."""

import functools
from typing import TYPE_CHECKING

from casas_ray.cli.console import judging, out, print_json
from casas_ray.cli.fitting import Table
from casas_ray.cli.screen import lines
from casas_ray.files import shown

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet
    from casas_ray.evals.leakage import ByProtocol


def show_leakage(home: str, prepared: "PreparedSet", split: str, *, as_json: bool) -> None:
    """Print a home's vectors under every protocol.

    Raises:
        DataError, SetupError: as for `leakage`.
    """
    from casas_ray.cli import tables
    from casas_ray.evals.leakage import as_dict, leakage

    with judging([home]) as tell:
        found = leakage(prepared, split=split, watch=functools.partial(tell, 0))
    if as_json:
        about = {"set": shown(prepared.folder), "fingerprint": prepared.fingerprint}
        print_json({**about, "split": split, **as_dict(found)})
        return
    days = "test days" if split == "test" else "validation days"
    out.print(by_protocol(found, tables.heading(f"{home}, up to {days}", prepared.caveats)))


def by_protocol(found: "ByProtocol", title: str) -> Table:
    """Macro F1 of each of the vectors, a column a protocol, and what it lies above the honest
    one."""
    from casas_ray.evals.leakage import HONEST, gains

    above = gains(found)
    table = Table(title=title)
    table.add_column("vectors")
    for protocol in found:
        table.add_column(protocol, justify="right")
    for row in found[HONEST].rows:
        cells = []
        for protocol, evaluation in found.items():
            value = evaluation.named(row.name).scores()["macro_f1"]
            more = "" if protocol == HONEST else f" ({above[protocol][row.name]:+.3f})"
            cells.append(f"{value:.3f}{more}")
        table.add_row(row.name, *cells)
    table.caption = lines(
        [
            f"Macro F1, and how far above {HONEST}: blocks of days, each judged by a fit on the "
            "others. random-windows LEAKS: windows share events with their neighbours. "
            "random-days is easier: neighbouring days are alike. day judges other windows than the "
            "others, the last days alone."
        ]
    )
    return table
