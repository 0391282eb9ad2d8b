"""The site's settings: `hrrp.toml` in the working directory, overridden by environment variables `HRRP_*`.

Everything has a working default. This room also knows where the shipped files lie: a checkout is found first, by the folders
beside the package; the underscored copies inside the package serve in a wheel.
"""

from __future__ import annotations

import os
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from hrrp.errors import UsageError

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]


@cache
def _is_checkout() -> bool:
    return (CHECKOUT / "sql").is_dir() and (CHECKOUT / "data" / "reference").is_dir()


def sql_dir() -> Path:
    """Folder of the SQL steps, `<group>/<table>.sql`."""
    return CHECKOUT / "sql" if _is_checkout() else PACKAGE / "_sql"


def reference_dir() -> Path:
    """Folder of the shipped reference tables, one CSV file a table."""
    return CHECKOUT / "data" / "reference" if _is_checkout() else PACKAGE / "_reference"


def sample_dir() -> Path:
    """Folder of the small synthetic system that is shipped with the product."""
    return CHECKOUT / "data" / "sample" if _is_checkout() else PACKAGE / "_sample"


def dagster_yaml() -> Path:
    """The Dagster instance configuration that is shipped with the product."""
    return CHECKOUT / "dagster.yaml" if _is_checkout() else PACKAGE / "_dagster.yaml"


class UserRights(BaseModel):
    """What one user of the page may see: which hospitals, and whether single stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hospitals: Literal["all"] | tuple[str, ...] = Field("all", description="'all', or the CCNs")
    level: Literal["aggregate", "patient"] = Field("aggregate", description="Counts of 1 to 10 hidden, or single stays")


class Settings(BaseSettings):
    """Every setting of a site, with its default.

    Raises (through `load_settings`) UsageError naming the setting, what stood there and what was expected.
    """

    model_config = SettingsConfigDict(env_prefix="HRRP_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data: Path | None = Field(None, description="Folder of the extract; none: the shipped synthetic system")
    out: Path = Field(Path("data/out"), description="Folder of the warehouse and of everything that a run writes")
    layout: str = Field("auto", description="Layout of the extract: auto, canonical, or the name of an adapter")
    site_reference: Path = Field(
        Path("data/site"), description="The site's own reference rows; they win over the shipped ones"
    )
    hsr: Path | None = Field(None, description="The site's newest Hospital-Specific Report, for its variances")
    sees_other_hospitals: bool = Field(
        True,
        description="The extract holds its patients' stays at other hospitals too (claims do, own discharges do not)",
    )
    program_years: tuple[int, ...] = Field((), description="Program years to compute; none: those being earned")
    reference: Literal["published", "fit"] = Field(
        "published", description="Score with CMS's published model, or fit it"
    )
    national_figures: Literal["published", "fit"] = Field(
        "published",
        description="Peer medians, groups and modifier: CMS's last published ones, or those of this run's hospitals",
    )
    engine: Literal["local"] = Field("local", description="Where the tables are made: in one process on this machine")
    memory_limit: str = Field("4GB", pattern=r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$", description="DuckDB's memory limit")
    threads: int = Field(default_factory=lambda: min(2, os.cpu_count() or 1), ge=1, description="Threads per process")
    allow_rejects: float = Field(0.05, ge=0, le=1, description="Share of a file's rows that may be rejected")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Overrides of named rule parameters, see data/reference/parameters.csv"
    )
    mapping: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Column names of a flat extract: [mapping.<file>] canonical = 'theirs'"
    )
    seed: int = Field(20261123, description="Seed of the forecast's draws")
    draws: int = Field(10_000, ge=100, description="Draws of the forecast")
    publish_patients: bool = Field(
        False, description="Also publish the tables of single stays, for users of the page with patient level"
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses or networks of the reverse proxies whose user header the page believes"
    )
    user_header: str = Field("X-Forwarded-User", pattern=r"^[A-Za-z0-9-]+$", description="Header that names the user")
    users: dict[str, UserRights] = Field(
        default_factory=dict, description='Users of the page: [users."name"] hospitals, level'
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("localhost", "127.0.0.1", "::1"), description="Names that the page may be asked for by"
    )
    schedule: str = Field("0 2 * * *", description="Cron line of the nightly run")
    time_zone: str = Field("America/New_York", description="Time zone of the nightly run")

    @field_validator("national_figures")
    @classmethod
    def _of_a_fitted_model(cls, figures: str, info: ValidationInfo) -> str:
        # Ratios against CMS's model and medians of one's own would compare a hospital with two different nations.
        if figures == "fit" and info.data.get("reference") != "fit":
            raise ValueError('national_figures = "fit" needs reference = "fit"')
        return figures

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for each in proxies:
            ip_network(each)
        return proxies

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=settings_file())
        return init_settings, env_settings, toml


def settings_file() -> Path:
    """The settings file: `HRRP_SETTINGS` if set, else hrrp.toml in the working directory."""
    return Path(os.environ.get("HRRP_SETTINGS", "hrrp.toml"))


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` that are None are left out, so a command line passes its options as they are."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            where = ".".join(str(part) for part in fault["loc"])
            lines.append(f"{where}: {fault['msg']} (it is {fault['input']!r})")
        raise UsageError(
            f"{settings_file()} or an HRRP_ environment variable or option: {'; '.join(lines)}. Correct it and run again."
        ) from None
    except ValueError as error:
        raise UsageError(f"{settings_file()} is not readable as TOML: {error}. Correct it and run again.") from None
