"""The reference page is the settings' own, and each setting says what it is for."""

from pathlib import Path

from casas_ray.cli.settings_page import entries, markdown
from casas_ray.config import Setup
from casas_ray.config.base import flat

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_in_the_repository_is_what_the_command_writes():
    assert PAGE.read_text() == markdown(), "casas-ray settings --markdown > docs/settings.md"


def test_every_setting_stands_on_it_once():
    paths = [path.removeprefix("recipe.") for path in flat(Setup())]
    assert [entry.path for entry in entries()] == paths
