"""A checked, complete file to the frozen `Config`. No decision is made here."""

from collections.abc import Mapping
from pathlib import Path

from mmcicd_jenkins.config import model as made
from mmcicd_jenkins.config import (
    resolve_cluster,
    schema,
    schema_environments,
    schema_jenkins,
    schema_retention,
)
from mmcicd_jenkins.release.canary_limits import Limits


def resolve(file: schema.FileSection, *, root: Path, name: str, marks: Mapping[str, str]) -> made.Config:
    return made.Config(
        root=root,
        file=name,
        models={n: _model(n, m) for n, m in file.models.items()},
        environments={n: _environment(n, e) for n, e in file.environments.items()},
        store=made.StoreSettings(
            registry=file.store.registry or "",
            path=file.store.path or "",
            compression=file.store.compression,
            ca=file.store.ca or "",
            insecure=file.store.insecure,
            upload_chunk=file.store.upload_chunk or 0,
        ),
        ledger=made.LedgerSettings(url=file.ledger.url or ""),
        image=_image(file.image),
        jenkins=_jenkins(file.jenkins) if file.jenkins else None,
        hooks=file.hooks,
        extends=_extends(file.extends) if file.extends else None,
        retention=_retention(file.retention),
        marks=marks,
    )


def _image(written: schema.ImageSection) -> made.ImageSettings:
    return made.ImageSettings(
        base=written.base or "",
        gpu_base=written.gpu_base or "",
        verify_with=tuple(written.verify_with),
        platforms=tuple(written.platforms),
        user=written.user or "",
        monitoring=written.monitoring,
        builder=written.builder,
        dockerfile=written.dockerfile or "",
        context=written.context or ".",
        build_args=written.build_args,
    )


def _extends(written: schema.ExtendsSection) -> made.Extends:
    return made.Extends(url=written.url, ref=written.ref or "", file=written.file)


def _retention(written: schema_retention.RetentionSection) -> made.Retention:
    return made.Retention(
        releases=written.releases,
        runs=written.runs,
        branches=written.branches,
        minimum=written.minimum,
    )


def _model(name: str, written: schema.ModelSection) -> made.Model:
    return made.Model(
        name=name,
        path=written.path,
        data=tuple(_source(n, d) for n, d in written.data.items()),
        test=written.test or "",
        train=_training(written.train),
        evaluate=_evaluation(written.evaluate),
        gates=written.gates,
        min_samples=written.min_samples,
        serving=made.Serving(
            cpu=written.serving.cpu,
            memory_bytes=written.serving.memory,
            gpus=written.serving.gpus,
            warmup=written.serving.warmup,
            allow_ops=tuple(written.serving.allow_ops),
        ),
    )


def _source(name: str, written: schema.DataSection) -> made.DataSource:
    return made.DataSource(
        name=name,
        url=written.url,
        label=written.label or "",
        test_size=written.test_size or 0.0,
        group_by=written.group_by or "",
        role=written.role,
        schema=written.schema_file or "",
    )


def _training(written: schema.TrainSection) -> made.Training:
    return made.Training(
        command=written.command,
        requirements=written.requirements or "",
        image=written.image or "",
        params=written.params,
        seed=written.seed,
        gpus=written.gpus,
        timeout_seconds=written.timeout,
        job=resolve_cluster.training_job(written.job) if written.job else None,
        inputs=written.inputs,
    )


def _evaluation(written: schema.EvaluateSection) -> made.Evaluation:
    return made.Evaluation(
        problem=written.problem,
        command=written.command or "",
        signature=written.signature,
        output=written.output or "",
        threshold=written.threshold,
        slices=written.slices,
        batch_size=written.batch_size,
    )


def _environment(name: str, written: schema_environments.EnvironmentSection) -> made.Environment:
    approval, rollback, autoscale = written.approval, written.rollback, written.autoscale
    return made.Environment(
        name=name,
        kind=written.kind,
        folder=written.folder or "",
        host=written.host,
        rest_port=written.rest_port or 0,
        grpc_port=written.grpc_port or 0,
        cluster=written.cluster or "",
        namespace=written.namespace or "",
        replicas=written.replicas,
        autoscale_max=autoscale.max if autoscale else 0,
        autoscale_cpu=autoscale.cpu if autoscale else 0.0,
        pods=resolve_cluster.pods(written.pods),
        service=resolve_cluster.service(written.service),
        ingress=resolve_cluster.ingress(written.ingress) if written.ingress else None,
        address=resolve_cluster.address(written.address, written.ingress),
        allow_from=written.allow_from,
        proxy=resolve_cluster.proxy(written.proxy) if written.proxy else None,
        progress_timeout_seconds=resolve_cluster.progress_timeout(written.progress_timeout, written.pods),
        strategy=_strategy(written.strategy),
        approval=made.Approval(
            by=approval.by, four_eyes=approval.four_eyes, expires_seconds=approval.expires
        ),
        rollback=made.RollbackPolicy(by=rollback.by, automatic=rollback.automatic),
        monitor=_monitor(written.monitor),
    )


def _strategy(written: schema_environments.StrategySection) -> made.Strategy:
    canary = written.canary
    if canary is None:
        return made.Strategy(kind=written.kind or "rolling")
    return made.Strategy(
        kind=written.kind or "canary",
        steps=tuple(made.CanaryStep(share=s.share, hold_seconds=s.seconds) for s in canary.steps),
        checks=canary.checks,
        min_requests=canary.min_requests,
        command=canary.command or "",
        every_seconds=canary.every,
        limits=Limits(
            failed=canary.limits.failed, inconclusive=canary.limits.inconclusive, error=canary.limits.error
        ),
    )


def _monitor(written: schema_environments.MonitorSection) -> made.Monitor:
    return made.Monitor(
        every_seconds=written.every,
        watch_seconds=written.watch,
        prometheus=written.prometheus or "",
        availability=written.slo.availability,
        latency_p99_seconds=written.slo.latency_p99 or 0.0,
        windows=tuple(
            made.BurnWindow(rate=w.rate, long_seconds=w.long, short_seconds=w.short) for w in written.windows
        ),
        min_requests=written.min_requests,
        min_errors=written.min_errors,
        bad_windows=written.bad_windows,
        good_windows=written.good_windows,
        drift_min_predictions=written.drift_min_predictions,
        cooldown_seconds=written.cooldown,
    )


def _jenkins(written: schema.JenkinsSection) -> made.JenkinsSettings:
    return made.JenkinsSettings(
        url=written.url or "",
        folder=written.folder or "",
        source={k: v for k, v in vars(written.source).items() if v is not None},
        main=written.main,
        agents={name: _agent(agent) for name, agent in written.agents.items()},
        timeouts=written.timeouts,
        branches=dict(vars(written.branches)),
        pull_requests=dict(vars(written.pull_requests)),
        retrain=written.retrain or "",
        credentials=written.credentials,
        permissions={k: tuple(v) for k, v in vars(written.permissions).items() if v},
        cli=written.cli or "",
    )


def _agent(written: schema_jenkins.AgentSection) -> str | made.Pod:
    pod = written.pod
    if pod is None:
        return written.label or ""
    return made.Pod(
        image=pod.image,
        gpus=pod.gpus,
        cpu=pod.cpu,
        memory_bytes=pod.memory or 0,
        shared_memory_bytes=pod.shared_memory or 0,
        node_selector=pod.node_selector,
        service_account=pod.service_account or "",
        namespace=pod.namespace or "",
        cloud=pod.cloud or "",
        checkpoints=pod.checkpoints or "",
    )
