"""Where a service is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A service's place on the platform."""

    project: str
    region: str
    service: str

    def __str__(self) -> str:
        """Return the platform's own full name of the service."""
        return (
            f"projects/{self.project}/locations/{self.region}/services/{self.service}"
        )
