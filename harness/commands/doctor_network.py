"""What `harness doctor` looks at on the way to the vendors: settings, keys, proxies, certificates, endpoints.

Invariant: no key is sent and none is shown; of an address neither user nor password is shown.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.commands.doctor_findings import Finding
from harness.config import Config, ProviderConfig, config_dir, load
from harness.errors import ConfigError, HarnessError, MissingKey
from harness.knowledge.project import find_root
from harness.providers.catalog import Catalog
from harness.providers.catalog_tables import CHAT, GENERIC
from harness.providers.facts import Model, Profile
from harness.providers.keys import find_key
from harness.providers.reach import Reached, reach, shown
from harness.seam import Seam
from harness.workspace.permissions import parse_rules

VENDORS = {
    "anthropic": ("ANTHROPIC_API_KEY", "https://api.anthropic.com", "/v1/models"),
    "openai": ("OPENAI_API_KEY", "https://api.openai.com/v1", "/models"),
}
"""Variable, address, and a page of the API that costs nothing to ask for."""

_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - a variable's name
_PROXIES = ("https", "http", "all")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_NOT_READ = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True, slots=True)
class Route:
    """A vendor or server that is configured. used: the model in use is there. address: None where none is set."""

    name: str
    variable: str
    address: str | None
    page: str
    settings: ProviderConfig
    used: bool
    keyless: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What was read; the defaults where it could not be. model: None where the one that is set makes no sense."""

    config: Config
    catalog: Catalog
    model: Model | None
    findings: tuple[Finding, ...]


def settings(seam: Seam, model: str | None) -> Settings:
    """Read all settings. model: as named on the command line."""
    environment, findings = seam.environment(), []
    config, catalog, used = Config(model=model or Config().model), Catalog.load(), None
    try:
        cwd = seam.cwd()
        config = load(environment, cwd, find_root(cwd), {"model": model})
        parse_rules(config.allow)
        findings.append(Finding("ok", "settings", ", ".join(config.sources) or "none, so the defaults"))
    except (HarnessError, OSError) as error:
        findings.append(Finding("bad", "settings", str(error), "fix that line"))
    try:
        catalog = Catalog.load(config_dir(environment))
    except HarnessError as error:
        findings.append(Finding("bad", "catalog", str(error), "fix that line"))
    try:
        used = catalog.find(config.model)
        findings.append(_model(used))
    except HarnessError as error:
        findings.append(Finding("bad", "model", str(error), "`harness models` lists those that are known"))
    return Settings(config, catalog, used, tuple(findings))


def _model(model: Model) -> Finding:
    if model.known:
        return Finding("ok", "model", model.id)
    return Finding(
        "note", "model", model.unknown, "if the name is right, put its facts into catalog.toml beside config.toml"
    )


def routes(found: Settings, environment: Mapping[str, str]) -> list[Route]:
    """The model's own route first, then every other that has settings or a key."""
    provider, profile = (found.model.provider, found.model.profile) if found.model else ("", None)
    listed = []
    for name, (usual, default, page) in VENDORS.items():
        given = found.config.providers.get(name, ProviderConfig())
        keyed = environment.get(usual) or (name == "anthropic" and environment.get(_TOKEN))
        if name == provider or given.api_key_file or given.api_key_command or given.api_key_env or keyed:
            address, variable = given.base_url or default, given.api_key_env or usual
            listed.append(Route(name, variable, address, page, given, name == provider))
    given = found.config.providers.get(CHAT, ProviderConfig())
    for name in found.catalog.profiles():
        row = found.catalog.profile(name)
        used = profile is not None and profile.name == name
        # the wire's default and its vendor share OpenAI's key: having that says nothing of them
        if used or (name not in (GENERIC, "openai") and environment.get(row.key_env)):
            listed.append(_server(row, given if used else ProviderConfig(), used=used))
    return sorted(listed, key=lambda route: not route.used)


def _server(profile: Profile, given: ProviderConfig, *, used: bool) -> Route:
    """A server of the chat wire: its own address wins, because OPENAI_BASE_URL is meant for those without one."""
    return Route(
        f"{CHAT}/{profile.name}",
        given.api_key_env or profile.key_env,
        profile.base_url or given.base_url,
        "/models",
        given,
        used,
        profile.key_optional,
    )


def key(route: Route, environment: Mapping[str, str]) -> Finding:
    """Whether there is one. Its command is run, as a session would."""
    what, given = f"{route.name} key", route.settings
    try:
        if route.variable == "ANTHROPIC_API_KEY" and not environment.get(route.variable, "").strip():
            # as the app does: a token is as good
            environment = {**environment, route.variable: environment.get(_TOKEN, "")}
        find_key(route.name, route.variable, environment, given.api_key_file, given.api_key_command)
    except MissingKey:
        if route.keyless:
            return Finding("ok", what, "none, and this server needs none")
        todo = f"set {route.variable}, or api_key_file or api_key_command in config.toml"
        return Finding("bad" if route.used else "note", what, "not there", todo)
    except ConfigError as error:
        return Finding("bad", what, str(error), "mend it, or take the setting away")
    return Finding("ok", what, "there")


# ------------------------------------------------------------------------------------------------- the way there


def proxies(environment: Mapping[str, str]) -> Iterator[Finding]:
    """What is set of them; the lower-case name wins, as it does for the SDKs."""
    said = False
    for kind in _PROXIES:
        name = f"{kind}_proxy"
        value = environment.get(name) or environment.get(name.upper())
        if not value:
            continue
        said = True
        address, scheme = shown(value), urlsplit(value if "://" in value else f"http://{value}").scheme
        name = name if environment.get(name) else name.upper()
        if not address:
            yield Finding("bad", name, "is no address", "make it http://HOST:PORT")
        elif scheme not in ("http", "https"):
            yield Finding("bad", name, f"{address}: {scheme} is not supported", "use an HTTP proxy, or unset it")
        else:
            yield Finding("ok", name, f"requests go through {address}")
    if bypass := environment.get("no_proxy") or environment.get("NO_PROXY"):
        said = True
        yield Finding("ok", "NO_PROXY", f"directly: {bypass}")
    if not said:
        yield Finding("ok", "proxies", "none")


def certificates(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Own authorities. They are named by SSL_CERT_FILE or SSL_CERT_DIR; other programs' variables are not read."""
    own = False
    for name in _CERTIFICATES:
        if not (value := environment.get(name)):
            continue
        own, path = True, Path(value)
        try:
            if name == "SSL_CERT_FILE":
                ssl.create_default_context(cafile=value)
            elif not path.is_dir():
                raise NotADirectoryError(0, "there is no such folder")
            yield Finding("ok", name, value)
        except ssl.SSLError:
            yield Finding("bad", name, f"{value}: holds no certificate in PEM form", "name your CA bundle, or unset it")
        except OSError as error:
            yield Finding("bad", name, f"{value}: {error.strerror}", "name your CA bundle, or unset it")
    for name in _NOT_READ:
        if environment.get(name) and not own:
            yield Finding("note", name, "is set, and not read here", f"set SSL_CERT_FILE={environment[name]} as well")


def endpoint(route: Route) -> Finding:
    """Whether its API answers. Any answer will do: without a key it is a refusal."""
    what, wrong = f"{route.name} endpoint", "bad" if route.used else "note"
    setting = "ANTHROPIC_BASE_URL" if route.name == "anthropic" else "OPENAI_BASE_URL"
    if route.address is None:
        return Finding("bad" if route.used else "note", what, "no address is set", f"set {setting}")
    return _endpoint(what, route, reach(f"{route.address}{route.page}"), f"{setting} or base_url", bad=wrong == "bad")


def _endpoint(what: str, route: Route, found: Reached, setting: str, *, bad: bool) -> Finding:
    address = shown(route.address or "")
    match found.kind:
        case "answers":
            return Finding("ok", what, f"{address} answers ({found.detail} without a key)")
        case "page":
            text = f"{address} answers with an HTML page ({found.detail}), not as an API: a proxy's or a login's"
            todo = f"open it in a browser; check {setting}, and the proxy"
        case "redirect":
            text = f"{address} sends requests on to {found.detail}"
            todo = f"check {setting}: name the API itself; behind a hotel's or a company's gate, log in first"
        case "tls":
            text = f"{address}: the TLS certificate or connection is not accepted ({found.detail})"
            todo = "if a proxy signs connections, set SSL_CERT_FILE to your CA bundle"
        case "dns":
            text, todo = f"{address}: {found.detail} (DNS)", f"check the network, {setting}, and the proxy's name"
        case "refused":
            text, todo = f"{address}: {found.detail}", f"is the server running? check {setting} and the proxy"
        case "timeout":
            text, todo = f"{address}: {found.detail}", "check the network, a firewall, and whether a proxy is needed"
        case "proxy":
            text, todo = f"{address}: the proxy: {found.detail}", "check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
        case "address":
            text, todo = f"{address}: {found.detail}", f"check {setting}, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
        case "failed":
            text, todo = f"{address}: {found.detail}", f"check the network, {setting} and the proxy"
    return Finding("bad" if bad else "note", what, text, todo)
