"""A verdict comes back from its file as it was given."""

from pathlib import Path

from casas_ray.records.verdict import Verdict, record_verdict, recorded_verdict


def test_a_verdict_comes_back_with_its_interval(tmp_path: Path):
    assert recorded_verdict(tmp_path) is None
    columns = {"trained": {"test/probe_macro_f1": 0.5}, "majority": {"test/probe_macro_f1": 0.1}}
    given = Verdict(9, ("SIMULATED home",), columns, (-0.1, 0.3))
    signed = record_verdict(tmp_path, given)
    assert recorded_verdict(tmp_path) == signed
    assert (signed.columns, signed.interval) == (given.columns, given.interval)
