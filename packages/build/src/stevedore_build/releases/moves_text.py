"""What moved, in words: Markdown for people and changelogs, JSON for programs."""

import json
from collections.abc import Iterator, Sequence

from stevedore_build.releases.changelogs import Entry
from stevedore_build.releases.moves import EnvironmentMove, ModelMove, Move, Moves, ScoreMove
from stevedore_core.lock import LockedModel
from stevedore_core.strict_json import Json

__all__ = ["moves_to_json", "moves_to_markdown"]


def moves_to_markdown(moves: Moves) -> str:
    """Return what moved as the text below a heading of the second level."""
    models = [_model(move, is_first=moves.before is None) for move in moves.models]
    environments = [_environment(move) for move in moves.environments]
    platform = [f"* {_thing(move)}" for move in moves.platform]
    blocks = []
    if models:
        blocks += ["### Models", *models]
    if environments:
        blocks += ["### Dependencies", "\n".join(environments)]
    if platform:
        blocks += ["### Platform", "\n".join(platform)]
    return "\n\n".join(blocks) if blocks else "Nothing moved."


def moves_to_json(moves: Moves) -> str:
    """Return what moved as one line of JSON."""
    document: Json = {
        "composition": moves.composition,
        "from": moves.before,
        "to": moves.after,
        "models": [_model_as_json(move) for move in moves.models],
        "environments": [
            {
                "name": move.name,
                "from": move.before,
                "to": move.after,
                "distributions": [_move_as_json(each) for each in move.distributions],
            }
            for move in moves.environments
        ],
        "platform": [_move_as_json(move) for move in moves.platform],
    }
    return json.dumps(document)


def _model(move: ModelMove, *, is_first: bool) -> str:
    blocks = ["\n".join((f"#### {_title(move, is_first=is_first)}", *_place(move)))]
    if move.scores:
        blocks.append("\n".join(_scores(move)))
    if move.entries and move.goes_back:
        blocks.append("Taken back:")
    blocks += [_quoted(entry) for entry in move.entries]
    return "\n\n".join(blocks)


def _title(move: ModelMove, *, is_first: bool) -> str:
    name, before, after = f"`{move.name}`", _versions(move.before), _versions(move.after)
    if not move.before:
        return f"{name} {after}" if is_first else f"{name} {after}, added"
    if not move.after:
        return f"{name} {before}, removed"
    return f"{name} {before} → {after}" if before != after else f"{name} {after}"


def _place(move: ModelMove) -> Iterator[str]:
    """Say what else than its version is another."""
    old = {model.version: model for model in move.before}
    for model in move.after:
        was = old.get(model.version)
        if was and was.sha256 != model.sha256:
            yield f"\nThe content of {model.version} is another one."
        if was and was.environment != model.environment:
            yield f"\n{model.version} moved from `{was.environment}` to `{model.environment}`."


def _scores(move: ModelMove) -> Iterator[str]:
    """Return a table: both versions, or the one that there is."""
    if not move.before or not move.after:
        held = (move.before or move.after)[0].version
        yield from (f"| score | {held} |", "|---|---|")
        for score in move.scores:
            value = score.before if score.after is None else score.after
            yield f"| {_called(score)} | {_number(value)} |"
        return
    yield f"| score | {move.before[0].version} | {move.after[0].version} | |"
    yield "|---|---|---|---|"
    for score in move.scores:
        values = f"{_number(score.before)} | {_number(score.after)}"
        yield f"| {_called(score)} | {values} | {score.verdict} |"


def _called(score: ScoreMove) -> str:
    name = " ".join(score.name.split()).replace("|", "\\|")
    return f"{name} ({score.direction} is better)"


def _quoted(entry: Entry) -> str:
    """Return a model's own entry as a quotation: whatever is in it, it cannot end ours."""
    lines = [f"**{entry.version}**", "", *entry.text.splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _environment(move: EnvironmentMove) -> str:
    name = f"* `{move.name}`"
    if move.before is None:
        return f"{name}: {move.after} distribution{'' if move.after == 1 else 's'}"
    if move.after is None:
        return f"{name}: removed"
    return f"{name}: {', '.join(_thing(each) for each in move.distributions)}"


def _thing(move: Move) -> str:
    if move.before is None:
        return f"`{move.name}` {move.after}"
    if move.after is None:
        return f"`{move.name}` {move.before} removed"
    if move.before == move.after:
        return f"`{move.name}` {move.after}, with other content"
    return f"`{move.name}` {move.before} → {move.after}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"  # noqa: RUF001 - the dash of an empty cell


def _versions(models: Sequence[LockedModel]) -> str:
    return " and ".join(model.version for model in models)


def _model_as_json(move: ModelMove) -> Json:
    return {
        "name": move.name,
        "from": [_held_as_json(model) for model in move.before],
        "to": [_held_as_json(model) for model in move.after],
        "scores": [
            {
                "name": score.name,
                "from": score.before,
                "to": score.after,
                "direction": score.direction,
                "verdict": score.verdict,
            }
            for score in move.scores
        ],
        "entries": [{"version": entry.version, "text": entry.text} for entry in move.entries],
    }


def _held_as_json(model: LockedModel) -> Json:
    return {"version": model.version, "environment": model.environment, "sha256": model.sha256}


def _move_as_json(move: Move) -> Json:
    return {"name": move.name, "from": move.before, "to": move.after}
