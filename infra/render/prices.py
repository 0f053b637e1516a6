"""The list of prices, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, cast

import yaml

from infra.errors import InfraError

DEFAULT = Path(__file__).with_name("prices.yaml")
Label = Literal["google", "third_party", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One price. Without an amount it is not known, and says so."""

    name: str
    unit: str
    label: Label
    amount: Decimal | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Every price, when they were read, and what a stack is assumed to use."""

    as_of: str
    currency: str
    region: str
    hours_per_month: int
    assumptions: Mapping[str, Mapping[str, int]]
    prices: Mapping[str, Price]
    free: frozenset[str]
    with_use: Mapping[str, str]


def load_prices(path: Path = DEFAULT) -> Prices:
    """Read the list.

    :raises InfraError: a price has neither amount and source nor the label `unknown`.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = cast("dict[str, dict[str, str]]", document.pop("prices"))
    prices = {name: _price(name, row) for name, row in rows.items()}
    free = frozenset(document.pop("free"))
    return Prices(**document, prices=prices, free=free)


def _price(name: str, row: Mapping[str, str]) -> Price:
    known = row["label"] in {"google", "third_party"}
    if known != ("amount" in row and "source" in row) or not (
        known or row["label"] == "unknown"
    ):
        raise InfraError(
            f"prices.yaml: {name}: must have amount and source, or label unknown"
        )
    return Price(
        name=name,
        unit=row["unit"],
        label=cast("Label", row["label"]),
        amount=Decimal(row["amount"]) if known else None,
        source=row.get("source", ""),
    )
