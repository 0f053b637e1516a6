"""The few words that this program says to Cloud Armor.

Cloud Armor takes a subset of CEL and refuses much that a CEL parser accepts (lists
with `in`, regular expressions with flags), and only when the policy is made. So an
expression is put together from these functions and from nothing else.
"""

import re
from dataclasses import dataclass

# https://cloud.google.com/armor/docs/rules-language-reference
_MOST_TERMS = 5
_MOST_CHARACTERS = 2048

_PATH = re.compile(r"/[a-z0-9/_-]+")
_RULE_SET = re.compile(r"[a-z]+-v33-stable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A condition on a request, within what one rule may hold."""

    text: str
    terms: int

    def __post_init__(self) -> None:
        if self.terms > _MOST_TERMS or len(self.text) > _MOST_CHARACTERS:
            raise AssertionError(
                f"a rule takes {_MOST_TERMS} terms and {_MOST_CHARACTERS} characters,"
                f" got {self.terms} and {len(self.text)}: {self.text}"
            )


def path_starts_with(path: str) -> Expression:
    """Match requests whose path begins so."""
    if _PATH.fullmatch(path) is None:
        raise AssertionError(f"not a plain path: {path!r}")
    return Expression(text=f"request.path.startsWith('{path}')", terms=1)


def attack_pattern(rule_set: str) -> Expression:
    """Match what Google's rule set of that name takes for an attack."""
    if _RULE_SET.fullmatch(rule_set) is None:
        raise AssertionError(f"not a preconfigured rule set: {rule_set!r}")
    # Sensitivity 1 is the set's own word for: the fewest false alarms.
    text = f"evaluatePreconfiguredWaf('{rule_set}', {{'sensitivity': 1}})"
    return Expression(text=text, terms=1)


def any_of(*conditions: Expression) -> Expression:
    """Match where one of the conditions does."""
    return Expression(
        text=" || ".join(condition.text for condition in conditions),
        terms=sum(condition.terms for condition in conditions),
    )


def but_none_of(condition: Expression, *exceptions: Expression) -> Expression:
    """Match where the condition does and none of these single terms."""
    return Expression(
        text=" && ".join(
            [condition.text, *(f"!{exception.text}" for exception in exceptions)]
        ),
        terms=condition.terms + sum(exception.terms for exception in exceptions),
    )
