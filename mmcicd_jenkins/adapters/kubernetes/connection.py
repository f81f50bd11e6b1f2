"""The way to the cluster of an environment: its address, whom it trusts, as whom we come.

KUBECONFIG first, then the account of the pod that we run in, then ~/.kube/config. The law: credentials go to the server
that `environments.*.cluster` names and to no other, and only after its certificate was checked.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mmcicd_jenkins.adapters.hosts import is_loopback
from mmcicd_jenkins.adapters.kubernetes.kubeconfig import Kubeconfig, read_kubeconfig
from mmcicd_jenkins.adapters.kubernetes.login import Login, account_login, login_of, pem
from mmcicd_jenkins.adapters.kubernetes.wire import Route, Wire
from mmcicd_jenkins.adapters.proxies import Proxies, proxy_login, without_login
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What a pod may call the API server of its own cluster, whatever the network is called.
_OWN_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


class Connection:
    """One API server and one login. Its repr has no secret; `secrets` are what no message may show."""

    def __init__(self, route: Route, login: Login, secrets: tuple[str, ...] = ()) -> None:
        self.server = route.server
        self.login = login
        self.wire = Wire(route)
        self._secrets = secrets

    def __repr__(self) -> str:
        return f"Connection({self.server!r}, {self.login.who!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*self._secrets, *self.login.known_secrets)


def connect(
    place: Environment, variables: Mapping[str, str], mark: str, account: Path = ACCOUNT
) -> Connection:
    """The way to the cluster of `place`. Nothing is asked of it yet; `mark` is where the configuration names it.

    Raises:
        InputError: there is no login, it is for another server, or the server would not be checked.
    """
    wanted = _address(place.cluster, mark)
    if not variables.get("KUBECONFIG") and (account / "token").exists():
        return _of_account(wanted, variables, account)
    home = variables.get("HOME", "")
    paths = variables.get("KUBECONFIG") or (str(Path(home, ".kube", "config")) if home else "")
    if not paths or not any(Path(part).expanduser().exists() for part in paths.split(":") if part):
        raise InputError(
            "there is no login for the cluster",
            where=f"environment {place.name}: {wanted}",
            why=f"{paths or 'KUBECONFIG'} is not there",
            fix="KUBECONFIG: the path of a kubeconfig with the login; in Jenkins jenkins.credentials.kubeconfig",
        )
    return _of_kubeconfig(wanted, read_kubeconfig(paths), variables, mark)


def _of_kubeconfig(wanted: str, config: Kubeconfig, variables: Mapping[str, str], mark: str) -> Connection:
    cluster = config.cluster
    server = _address(cluster.text("server"), f"{cluster.name} of {config.where}")
    if server != wanted:
        matching = [name for name, other in config.others.items() if _normal(other) == wanted]
        raise InputError(
            "the kubeconfig leads to another cluster than the one of this environment",
            where=mark,
            why=f"cluster: {wanted}, but context {config.context} of {config.where} leads to {server}",
            fix=f"kubectl config use-context {matching[0]}"
            if matching
            else "another kubeconfig, or correct environments.*.cluster",
        )
    if cluster.values.get("insecure-skip-tls-verify"):
        raise InputError(
            "a cluster whose certificate is not checked is not deployed to",
            where=f"{cluster.name} of {config.where}: insecure-skip-tls-verify",
            why="whoever is between could take the login and answer in its name",
            fix="certificate-authority-data of the cluster; tls-server-name when it is reached by another name",
        )
    proxies = Proxies(variables)
    proxy = _proxy(cluster.text("proxy-url"), config.where) or proxies.to(server)
    route = _through(
        proxy,
        Route(
            server=server,
            authority=pem(cluster, "certificate-authority"),
            name=cluster.text("tls-server-name"),
        ),
        config.where,
    )
    hidden = unquote(urlsplit(proxy).password or "")
    return Connection(
        route, login_of(config, variables), (*((hidden,) if hidden else ()), *proxies.passwords)
    )


def _of_account(wanted: str, variables: Mapping[str, str], account: Path) -> Connection:
    """By the pod's own account: sent to the address that is configured, once its certificate is one of this cluster's.

    So an address of another cluster gets nothing, and the cluster's address outside works as its address inside.
    """
    host = urlsplit(wanted).hostname or ""
    name = ""
    if host in _OWN_NAMES and variables.get("KUBERNETES_SERVICE_HOST"):
        inside = variables["KUBERNETES_SERVICE_HOST"]
        inside = f"[{inside}]" if ":" in inside else inside
        name, wanted = host, f"https://{inside}:{variables.get('KUBERNETES_SERVICE_PORT', '443')}"
    if not wanted.startswith("https://"):
        raise InputError(
            "a pod speaks to its cluster by TLS only", where=wanted, fix="https://kubernetes.default.svc"
        )
    try:
        authority = (account / "ca.crt").read_bytes()
    except OSError as e:
        raise InputError(
            "the account of this pod is not complete", where=str(account / "ca.crt"), why=e.strerror or str(e)
        ) from e
    proxies = Proxies(variables)
    route = Route(server=wanted, authority=authority, name=name)
    proxy = "" if name else proxies.to(wanted)
    return Connection(
        _through(proxy, route, "HTTPS_PROXY"), account_login(account / "token"), proxies.passwords
    )


def _through(proxy: str, route: Route, where: str) -> Route:
    if not proxy:
        return route
    if not proxy.startswith("http://"):
        raise InputError(
            "this proxy is not one that can be used for a cluster",
            where=where,
            why=f"its kind is {proxy.partition(':')[0]}",
            fix="a proxy of kind http://HOST:PORT; what goes through it is TLS all the same",
        )
    return Route(
        server=route.server,
        authority=route.authority,
        name=route.name,
        proxy=without_login(proxy),
        proxy_headers=tuple(proxy_login(proxy).items()),
    )


def _proxy(address: str, where: str) -> str:
    try:
        usable = not address or bool(urlsplit(address).hostname and (urlsplit(address).port or 80))
    except ValueError:
        usable = False
    if not usable:
        raise InputError("this is no address of a proxy", where=f"{where}: proxy-url", fix="http://HOST:PORT")
    return address


def _address(text: str, where: str) -> str:
    """A server's address in one spelling.

    Raises:
        InputError: it is none, or it is not spoken to by TLS and not on this machine.
    """
    normal = _normal(text)
    if not normal:
        fix = "https://HOST:PORT, as `kubectl cluster-info` prints it"
        raise InputError("this is no address of an API server", where=where, why=_shown(text), fix=fix)
    parts = urlsplit(normal)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InputError(
            "a cluster is spoken to by TLS",
            where=where,
            why=f"{normal} is plain http",
            fix=f"https://{parts.netloc}",
        )
    return normal


def _normal(text: str) -> str:
    """`https://HOST:PORT/PATH` in lower case and with its port; "" for what is no such address."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    host = (parts.hostname or "").rstrip(".")
    plain = text.isascii() and text.strip().isprintable() and " " not in text.strip()
    if not host or not port or not plain or parts.username or parts.password or parts.query or parts.fragment:
        return ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path.rstrip('/')}"


def _shown(text: str) -> str:
    # It may have a login in it.
    return repr(text.rpartition("@")[2][:100])
