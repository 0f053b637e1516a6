"""What a month of a stack costs, as far as its graph and a list of prices tell."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from infra.render.graph import Graph, Resource
from infra.render.prices import Price, Prices

_SECONDS_PER_HOUR = 3600
_MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quantity at one price; `quantity_at_most` is that of a full stack."""

    resource: str
    price: Price
    quantity: Decimal
    quantity_at_most: Decimal

    @property
    def monthly(self) -> Decimal:
        """What it costs on average."""
        return self.quantity * (self.price.amount or 0)

    @property
    def at_most(self) -> Decimal:
        """What it costs with every instance running all month."""
        return self.quantity_at_most * (self.price.amount or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A month of one stack."""

    stack: str
    rows: tuple[Row, ...]
    prices: Prices
    average_instances: int

    @property
    def monthly(self) -> Decimal:
        """The sum of what has a known price, on average."""
        return sum((row.monthly for row in self.rows), Decimal(0))

    @property
    def at_most(self) -> Decimal:
        """The sum with every instance running all month."""
        return sum((row.at_most for row in self.rows), Decimal(0))

    @property
    def unknown(self) -> tuple[Row, ...]:
        """What is used and has no known price."""
        return tuple(row for row in self.rows if row.price.amount is None)

    def shown(self) -> str:
        """Return the estimate for people, with where each price is from."""
        return "\n".join(_shown(self)) + "\n"


def estimate(graph: Graph, prices: Prices) -> Estimate:
    """Return what a month of a graph costs.

    A type that the list says nothing about is among what is unknown.
    """
    average = prices.assumptions[graph.stack]["average_instances"]
    rows = [
        row
        for resource in graph.custom()
        for row in _rows(resource, graph=graph, prices=prices)
    ]
    return Estimate(
        stack=graph.stack,
        rows=tuple(_merged(rows)),
        prices=prices,
        average_instances=average,
    )


def _rows(resource: Resource, *, graph: Graph, prices: Prices) -> Iterator[Row]:
    if resource.type in prices.free or resource.type in prices.with_use:
        return
    quantities = QUANTITIES.get(resource.type, _one(resource.type))
    nothing = Price(name=resource.type, unit=resource.type, label="unknown")
    for name, quantity, most in quantities(resource, graph, prices):
        yield Row(
            resource=resource.name,
            price=prices.prices.get(name, nothing),
            quantity=quantity,
            quantity_at_most=most,
        )


# One row for all resources: the price is that of all of them together.
_TOGETHER = frozenset({"forwarding_rules", "edge_data"})


def _merged(rows: list[Row]) -> Iterator[Row]:
    """Keep one row of what is priced together or only named, without a price."""
    seen: set[str] = set()
    for row in rows:
        if row.price.amount is None or row.price.name in _TOGETHER:
            if row.price.name in seen:
                continue
            seen.add(row.price.name)
        yield row


Quantity = tuple[str, Decimal, Decimal]


def _service(resource: Resource, graph: Graph, prices: Prices) -> Iterator[Quantity]:
    seconds = Decimal(prices.hours_per_month * _SECONDS_PER_HOUR)
    fewest = Decimal(resource.text("scaling.minInstanceCount") or 0)
    most = Decimal(resource.text("scaling.maxInstanceCount") or 1)
    assumed = Decimal(prices.assumptions[graph.stack]["average_instances"])
    average = min(max(fewest, assumed), most)
    for limits in resource.every("template.containers[*].resources.limits"):
        if not isinstance(limits, dict):
            continue
        cpu, memory = _cpu(str(limits["cpu"])), _gib(str(limits["memory"]))
        yield "run_cpu", cpu * seconds * average, cpu * seconds * most
        yield "run_memory", memory * seconds * average, memory * seconds * most
    yield "samples", Decimal(1), Decimal(1)
    logs = Decimal(prices.assumptions[graph.stack]["logs_gib_charged"])
    if logs:
        yield "logs", logs, logs


def _database(resource: Resource, _graph: Graph, prices: Prices) -> Iterator[Quantity]:
    _, _, cpus, mib = resource.text("settings.tier").split("-")
    regional = resource.text("settings.availabilityType") == "REGIONAL"
    copies = Decimal(2 if regional else 1)
    hours = Decimal(prices.hours_per_month) * copies
    disk = Decimal(resource.text("settings.diskSize")) * copies
    most = Decimal(resource.text("settings.diskAutoresizeLimit") or 0) * copies
    for name, quantity in (
        ("sql_cpu", Decimal(cpus) * hours),
        ("sql_memory", Decimal(mib) / _MIB_PER_GIB * hours),
    ):
        yield name, quantity, quantity
    yield "sql_ssd", disk, max(disk, most)
    yield "sql_backups", Decimal(1), Decimal(1)


def _cache(resource: Resource, _graph: Graph, prices: Prices) -> Iterator[Quantity]:
    shards = int(resource.text("shardCount") or 1)
    nodes = shards * (1 + int(resource.text("replicaCount") or 0))
    hours = Decimal(prices.hours_per_month * nodes)
    yield f"valkey_{resource.text('nodeType').lower()}", hours, hours


def _rule(_resource: Resource, graph: Graph, prices: Prices) -> Iterator[Quantity]:
    hours = Decimal(prices.hours_per_month)
    gib = Decimal(prices.assumptions[graph.stack]["edge_gib_each_way"] * 2)
    yield "forwarding_rules", hours, hours
    if gib:
        yield "edge_data", gib, gib


def _armor(resource: Resource, _graph: Graph, _prices: Prices) -> Iterator[Quantity]:
    rules = Decimal(len(resource.every("rules[*]")))
    yield "armor_policy", Decimal(1), Decimal(1)
    yield "armor_rule", rules, rules


def _one(price: str) -> Callable[[Resource, Graph, Prices], Iterator[Quantity]]:
    def quantity(_r: Resource, _g: Graph, _p: Prices) -> Iterator[Quantity]:
        yield price, Decimal(1), Decimal(1)

    return quantity


QUANTITIES: dict[str, Callable[[Resource, Graph, Prices], Iterator[Quantity]]] = {
    "gcp:artifactregistry/repository:Repository": _one("registry_storage"),
    "gcp:cloudrunv2/service:Service": _service,
    "gcp:compute/globalForwardingRule:GlobalForwardingRule": _rule,
    "gcp:compute/securityPolicy:SecurityPolicy": _armor,
    "gcp:compute/securityPolicyRule:SecurityPolicyRule": _one("armor_rule"),
    "gcp:memorystore/instance:Instance": _cache,
    "gcp:monitoring/alertPolicy:AlertPolicy": _one("alerts"),
    "gcp:monitoring/uptimeCheckConfig:UptimeCheckConfig": _one("uptime_checks"),
    "gcp:secretmanager/secret:Secret": _one("secret_versions"),
    "gcp:sql/databaseInstance:DatabaseInstance": _database,
}


def _cpu(text: str) -> Decimal:
    milli = text.endswith("m")
    return Decimal(text.removesuffix("m")) / (1000 if milli else 1)


def _gib(text: str) -> Decimal:
    found = re.fullmatch(r"(\d+)(Mi|Gi)", text)
    if found is None:
        raise AssertionError(f"memory {text!r} has neither Mi nor Gi")
    return Decimal(found[1]) / (_MIB_PER_GIB if found[2] == "Mi" else 1)


def _shown(found: Estimate) -> Iterator[str]:
    prices = found.prices
    yield (
        f"a month, estimated: {found.monthly:,.0f} {prices.currency} with"
        f" {found.average_instances} instances on average, at most"
        f" {found.at_most:,.0f} with all of them and a full disk"
    )
    yield (
        f"  list prices of {prices.region}, read by {prices.as_of};"
        f" {prices.hours_per_month} hours; no discounts, no free amounts"
    )
    for row in found.rows:
        if row.price.amount is not None:
            yield (
                f"  {row.monthly:>9,.2f}  {row.resource}: {row.quantity:,.0f} x"
                f" {row.price.amount} ({row.price.unit}) [{_origin(row.price)}]"
            )
    for row in found.unknown:
        yield f"    unknown  {row.resource}: {row.price.unit}"


def _origin(price: Price) -> str:
    return "Google" if price.label == "google" else "third party"
