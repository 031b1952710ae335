"""FastAPI and pydantic, written by hand: the same rules as our schemas, the same answers."""

import os
from typing import Annotated

import uvicorn
from fastapi import FastAPI
from pydantic import Field

from benchmarks.servers.fitted import Predict, asked_model

FEATURES, HIGHEST = {"logistic": (4, 30), "forest": (30, 10_000)}[os.environ["MODEL"]]

Number = Annotated[float, Field(ge=0, le=HIGHEST)]
Row = Annotated[list[Number], Field(min_length=FEATURES, max_length=FEATURES)]
Instances = Annotated[list[Row], Field(min_length=1, max_length=10_000)]
Answers = list[str] | list[float]


def make_app(predict: Predict, *, is_async: bool) -> FastAPI:
    """Return the application, its route written in one of the two ways."""
    app = FastAPI()

    def in_a_thread(instances: Instances) -> Answers:
        return predict(instances)

    async def inline(instances: Instances) -> Answers:
        return predict(instances)

    app.post("/", response_model=Answers)(inline if is_async else in_a_thread)
    return app


if __name__ == "__main__":
    uvicorn.run(
        make_app(asked_model(), is_async=os.environ["ROUTE"] == "async"),
        port=int(os.environ["PORT"]),
        log_level="warning",
        access_log=False,
    )
