"""A repository on a real controller whose production is a namespace of a real cluster, with a canary of seconds.

The pods' server multiplies by two as the model does, so that `verify` and `smoke` are the real ones; versions differ by
what `double.json` says else. The cluster's login is a credential of Jenkins that the jobs of `ops` are given.
"""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path

from cluster_serving import Serving
from cluster_tool import Cluster
from live_site import NAME, Site
from load import asking

LOGIN = "cluster-login"
CONFIG = """\
models:
  double:
    data:
      numbers: {{url: {base}/numbers.csv, label: y, test_size: 0.3}}
    train: {{command: ./train.sh, inputs: [train.sh, double.json]}}
    evaluate: {{command: ./evaluate.sh}}
    gates: [accuracy >= 0.5]
    min_samples: 10
    serving: {{cpu: 0.01, memory: 32Mi}}
environments:
  staging: {{kind: local, folder: {base}/serve/staging, rest_port: {ports[0]}, grpc_port: {ports[1]}}}
  production:
    kind: kubernetes
    cluster: {cluster}
    namespace: {namespace}
    replicas: 2
    progress_timeout: 60s
    strategy:
      canary:
        steps: [33% for 8s, 50% for 8s]
        min_requests: 20
        every: 1s
        checks: [error_rate <= stable + 0.02, latency_p99 <= 900 ms]
        limits: {{failed: 2, inconclusive: 4, error: 20}}
    pods: {{drain: 2s, longest_request: 1s, min_ready: 1s, start_timeout: 30s}}
    approval: {{by: {approvers}, four_eyes: true}}
    rollback: {{by: {pressers}}}
    monitor: {{every: 1d}}
store: {{registry: "{registry}", insecure: true}}
image: {{base: "{image}"}}
ledger: {{url: {base}/ledger.git}}
jenkins:
  url: {url}
  folder: {folder}
  source: {{git: "{remote}"}}
  agents: {{default: linux, train: gpu, deploy: ops}}
  credentials: {{ops: {{production: cluster-login}}}}
  cli: wheels/{wheel}
"""
FILES = {
    "train.sh": """\
#!/bin/sh
set -eu
cp -R model/. "$MMCICD_MODEL_DIR"/
cp double.json "$MMCICD_MODEL_DIR"/
""",
    "evaluate.sh": """\
#!/bin/sh
set -eu
cat > "$MMCICD_EVALUATION_DIR/golden.json" <<END
{{"signature": "serving_default", "inputs": {{"x": {{"dtype": "float32", "shape": [null]}}}}, "output": "y",
 "instances": [1.0, 2.0], "outputs": [2.0, 4.0], "tolerance": 0.0001}}
END
echo '{{"metrics": {{"accuracy": 0.9}}, "samples": 30}}' > "$MMCICD_EVALUATION_DIR/metrics.json"
""",
    "double.json": '{{"factor": 2}}',
}
CREDENTIAL = """\
<org.jenkinsci.plugins.plaincredentials.impl.FileCredentialsImpl>
  <id>{id}</id>
  <description>the cluster of the tests</description>
  <fileName>kubeconfig</fileName>
  <secretBytes>{content}</secretBytes>
</org.jenkinsci.plugins.plaincredentials.impl.FileCredentialsImpl>
"""


@dataclass(frozen=True, kw_only=True)
class ClusterSite(Site):
    """What is asked of the cluster itself is asked by kubectl, not by our adapters."""

    cluster: Cluster
    serving: Serving
    namespace: str
    config: str = CONFIG
    files: dict[str, str] = field(default_factory=lambda: FILES)
    locked_by: tuple[tuple[str, ...], ...] = (("data", "update"), ("image", "update-base"))

    def push_double(self, **double):
        """Push another version, whose copies do what `double` says."""
        return self.push(double_json=json.dumps({"factor": 2, **double}))

    def copies(self, track):
        """Version and number of the copies of a track; None where there is no such Deployment."""
        done = self.cluster.run(
            "get", "deployment", f"{NAME}-{track}", f"--namespace={self.namespace}", "--output=json"
        )
        if done.returncode:
            assert "NotFound" in done.stderr, done.stderr
            return None
        found = json.loads(done.stdout)
        version = found["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"]
        return int(version), found["spec"]["replicas"]

    def traffic(self):
        """Requests to the Service at a steady rate, a connection for each, while the block lasts."""
        service = self.cluster.get("service", NAME, f"--namespace={self.namespace}")
        return asking(f"{service['spec']['clusterIP']}:8501", NAME, "new:30")


def give_login(admin, folder, cluster):
    """The cluster's login as a credential of the folder."""
    content = base64.b64encode(Path(cluster.kubeconfig).read_bytes()).decode()
    admin.library.create_credential(folder, CREDENTIAL.format(id=LOGIN, content=content))
