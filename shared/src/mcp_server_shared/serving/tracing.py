"""Export of the SDK's OpenTelemetry spans, where the standard variables ask for it (extra `[otel]`)."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from mcp_server_shared.catalog import About
from mcp_server_shared.serving.settings import trace_service

logger = logging.getLogger(__name__)


@contextmanager
def traced(about: About, version: str) -> Generator[None]:
    """Export spans inside the context by OTLP over HTTP; the rest is up to the `OTEL_…` variables."""
    service = trace_service(about.package)
    if service is None:
        yield
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        logger.warning("the OTEL_… variables ask for traces, which take the extra [otel]")
        yield
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
