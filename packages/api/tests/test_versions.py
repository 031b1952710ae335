"""Several versions of one model, side by side in one composition."""

from collections.abc import Iterator

import httpx
import pytest
import served_layout
from openapi_spec_validator import validate
from served_layout import Json, MakeLayout, Model, Serve, Server, obedient

BOTH = ["1.1.0", "1.0.0"]
ECHO = {"do": "echo", "value": 7}
UNKNOWN = (
    "the model is not served here at that version; `/models/<name>/versions` lists those that are"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ready server of `one` at two versions, and of `two` at one."""
    directory = tmp_path_factory.mktemp("versions")
    models = {
        "one": Model(source=obedient("one").replace("os.getpid()", '"1.0.0"'), versions=BOTH),
        "two": Model(source=obedient("two")),
    }
    layout = served_layout.write_layout(directory / "layout", "all", models)
    server = served_layout.start_server(layout, directory / "server.log", {})
    server.wait_until("/readyz")
    server.wait_until_scored()
    yield server
    server.clean_up()


def test_each_version_answers_for_itself(server: Server) -> None:
    """A path with a version reaches that version, one without it the manifest's first."""
    asked = {"do": "pid"}
    assert server.post("/models/one/predict", asked).json() == "1.1.0"
    for version in BOTH:
        assert server.post(f"/models/one/versions/{version}/predict", asked).json() == version
        assert server.get(f"/models/one/versions/{version}/version").json() == version
        entry = server.get(f"/models/one/versions/{version}").json()
        assert (entry["name"], entry["version"]) == ("one", version)
    assert server.get("/models/one").json()["version"] == "1.1.0"
    assert server.get("/version?model=one").json() == "1.1.0"
    assert server.post("/predict", {"predictor": "one", "payload": asked}).json() == "1.1.0"


def test_versions_are_listed(server: Server) -> None:
    """The default version stands first; a name stands once in the list of names."""
    assert server.get("/models/one/versions").json() == BOTH
    assert server.get("/models/two/versions").json() == ["1.0.0"]
    assert server.get("/list").json() == ["one", "two"]
    assert [(m["name"], m["version"], m["environment"]) for m in server.get("/models").json()] == [
        ("one", "1.1.0", "default"),
        ("one", "1.0.0", "default-2"),
        ("two", "1.0.0", "default"),
    ]


def test_reports_have_a_key_for_each(server: Server) -> None:
    """A version that is not the default one is reported as `name@version`."""
    keys = ["one", "one@1.0.0", "two"]
    assert list(server.get("/health").json()["ready"]) == keys
    assert list(server.get("/readyz?verbose").json()) == keys
    assert list(server.get("/score").json()) == keys
    assert list(server.get("/models/one/versions/1.0.0/readyz?verbose").json()) == ["one@1.0.0"]
    assert list(server.get("/models/one/versions/1.1.0/readyz?verbose").json()) == ["one"]


@pytest.mark.parametrize(
    "path",
    ["livez", "readyz", "healthz", "score", "created", "creation_time", "predict_schema"],
)
def test_every_reading_route_takes_a_version(server: Server, path: str) -> None:
    """What can be asked of a model can be asked of a version of it."""
    for version in BOTH:
        assert server.get(f"/models/one/versions/{version}/{path}").status_code == httpx.codes.OK


def test_a_version_is_scored(server: Server) -> None:
    """Score of a version takes labelled examples as that of a model does."""
    answer = server.post("/models/one/versions/1.0.0/score", [1])
    assert answer.json() == {"accuracy": 0.5, "loss": {"value": 2, "direction": "lower"}}


@pytest.mark.parametrize("verb", ["predict", "score", "version", "readyz"])
@pytest.mark.parametrize("place", ["one/versions/2.0.0", "one/versions/1.0", "two/versions/1.1.0"])
def test_an_unknown_version(server: Server, place: str, verb: str) -> None:
    """A version that is not served is 404, whatever is asked of it."""
    path = f"/models/{place}/{verb}"
    answer = server.post(path, ECHO) if verb in {"predict", "score"} else server.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, UNKNOWN)


def test_a_crash_of_one_version_leaves_the_other(make_layout: MakeLayout, serve: Serve) -> None:
    """Versions live in processes of their own."""
    server = serve(make_layout(one=Model(source=obedient("one"), versions=BOTH)))
    server.wait_until("/readyz")
    kill = {"do": "signal", "value": 9}
    assert server.post("/models/one/versions/1.0.0/predict", kill).status_code == 502
    assert server.post("/models/one/predict", ECHO).json() == ECHO["value"]


def test_the_document_shows_every_version(server: Server) -> None:
    """Each version has its paths and schemas; what has one version only is shown once."""
    document: dict[str, dict[str, Json]] = server.get("/openapi.json").json()
    validate(document)
    paths = document["paths"]
    for version in BOTH:
        assert f"/models/one/versions/{version}/predict" in paths
        assert f"/models/one/versions/{version}" in paths
    assert not [path for path in paths if path.startswith("/models/two/versions/")]
    schemas = document["components"]["schemas"]
    assert isinstance(schemas, dict)
    assert {"one.predict", "one.1.0.0.predict", "two.predict"} <= schemas.keys()
    tags = document["tags"]
    assert isinstance(tags, list)
    assert [tag["name"] for tag in tags[:3]] == ["one", "one@1.0.0", "two"]
