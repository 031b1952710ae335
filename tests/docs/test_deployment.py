"""The Deployment in `docs/guides/operating.md`, held against the server: no cluster is here."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from stevedore_api.settings import Settings
from stevedore_api.stopping import _HARD_STOP_S
from stevedore_build.images.building import IMAGE_PORT

DOCS: Final = Path(__file__).parents[2] / "docs"
(SHOWN,) = re.findall(
    r"```yaml\n(.*?)```", (DOCS / "guides" / "operating.md").read_text("utf-8"), re.DOTALL
)
POD: Final[dict[str, Any]] = yaml.safe_load(SHOWN)["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
PROBES: Final = {
    kind: CONTAINER[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")
}
SCRAPED: Final = {
    name.partition("/")[2]: value for name, value in POD["metadata"]["annotations"].items()
}


def test_ports_are_the_images() -> None:
    """Probes and scrapers reach the port on which an image listens."""
    ports = [port["containerPort"] for port in CONTAINER["ports"]]
    asked = [probe["port"] for probe in PROBES.values()]
    assert {*ports, *asked, int(SCRAPED["port"])} == {IMAGE_PORT}


def test_paths_are_routes() -> None:
    """What fails would be started anew for liveness, and only left alone for readiness."""
    paths = {kind: probe["path"] for kind, probe in PROBES.items()}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    documented = (DOCS / "http.md").read_text("utf-8")
    for path in (*paths.values(), SCRAPED["path"]):
        assert f"| GET `{path}`" in documented


def test_variables_are_settings() -> None:
    """The server starts with the values that are shown."""
    given = {variable["name"]: variable["value"] for variable in CONTAINER["env"]}
    assert Settings.read(given).workers == "auto"


def test_it_is_waited_for_until_it_has_stopped() -> None:
    """Nothing is killed that stops as slowly as it may, with the defaults."""
    settings = Settings.read({})
    longest_s = settings.drain_delay_s + settings.drain_s + _HARD_STOP_S
    assert POD["spec"]["terminationGracePeriodSeconds"] > longest_s
    stopping = (DOCS / "settings.md").read_text("utf-8").split("## Stopping")[1]
    assert f"{longest_s:.0f} s after the signal" in stopping
