"""KEDA's external scaler: KEDA asks over gRPC what is needed, and we answer with what will be.

A `ScaledObject` names a trigger of type `external` with the address, a target and what to foresee; see the guide. The
API key travels in its metadata as `apiKey` (KEDA fills it in from `apiKeyFromEnv`), so that no caller is let in
without one. Tested against a gRPC client of the same protocol, not against KEDA in a cluster.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import grpc
from grpc.aio import ServicerContext

from cerebro.kernel.observe.log import get_log
from cerebro.kernel.scaling.ask import Ask, Need, number_of
from cerebro.kernel.scaling.proto import externalscaler_pb2 as keda
from cerebro.spine.errors import CerebroError, Forbidden, Invalid, Unauthenticated

log = get_log(__name__)

SERVICE = "externalscaler.ExternalScaler"
METRIC = "cerebro-forecast"
PUSH_S = 15.0  # between two looks of a stream
STOP_S = 2.0
MESSAGE_BYTES_MAX = 64 << 10
LOOPBACK = ("127.", "localhost", "::1", "[::1]")

Q = TypeVar("Q")
A = TypeVar("A")


class KedaScaler:
    """The gRPC server; a `Task` of the role that answers HTTP.

    Args:
        ask: What answers.
        host: To listen on; anything but loopback needs the certificate.
        port: To listen on.
        certificate: PEM chain and PEM private key, for TLS.
    """

    name = "keda"

    def __init__(self, ask: Ask, host: str, port: int, certificate: tuple[Path, Path] | None = None) -> None:
        self._ask, self._host, self._port, self._certificate = ask, host, port, certificate
        self.bound_port = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`.

        Raises:
            Invalid: The address is not loopback and there is no certificate, or the port is taken.
        """
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)])
        server.add_generic_rpc_handlers((self._handlers(),))
        self.bound_port = self._listen(server)
        await server.start()
        log.info("keda_scaler_started", host=self._host, port=self.bound_port)
        await stop.wait()
        await server.stop(STOP_S)

    def _listen(self, server: Any) -> int:
        address = f"{self._host}:{self._port}"
        if not self._certificate and not self._host.startswith(LOOPBACK):
            raise Invalid(
                f"{self._host} is not a loopback address, and the API key would cross the network in the clear.",
                "Set http.tls_certificate and http.tls_key; the scaler speaks TLS with the same certificate.",
            )
        try:
            if not self._certificate:
                return int(server.add_insecure_port(address))
            chain, key = (path.read_bytes() for path in self._certificate)
            return int(server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)])))
        except (RuntimeError, OSError) as error:
            raise Invalid(
                f"Cannot listen on {address} for KEDA: {error}.", "Set scaling.keda_port to another."
            ) from error

    def _handlers(self) -> Any:
        def unary(answer: Callable[[Q], Awaitable[A]], question: Any, answered: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                _told(answer), request_deserializer=question.FromString, response_serializer=answered.SerializeToString
            )

        stream = grpc.unary_stream_rpc_method_handler(
            self._stream_is_active,
            request_deserializer=keda.ScaledObjectRef.FromString,
            response_serializer=keda.IsActiveResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "IsActive": unary(self._is_active, keda.ScaledObjectRef, keda.IsActiveResponse),
                "StreamIsActive": stream,
                "GetMetricSpec": unary(self._metric_spec, keda.ScaledObjectRef, keda.GetMetricSpecResponse),
                "GetMetrics": unary(self._metrics, keda.GetMetricsRequest, keda.GetMetricsResponse),
            },
        )

    async def _is_active(self, asked: keda.ScaledObjectRef) -> keda.IsActiveResponse:
        metadata = dict(asked.scalerMetadata)
        needed = await self._needed(metadata)
        return keda.IsActiveResponse(result=needed.value > number_of(metadata, "activationTarget", 0.0))

    async def _metric_spec(self, asked: keda.ScaledObjectRef) -> keda.GetMetricSpecResponse:
        target = number_of(dict(asked.scalerMetadata), "target")
        if target <= 0:
            raise Invalid(
                "`target` must be above 0: how much one replica can take.", "Set it in the trigger's metadata."
            )
        spec = keda.MetricSpec(metricName=METRIC, targetSize=max(1, round(target)), targetSizeFloat=target)
        return keda.GetMetricSpecResponse(metricSpecs=[spec])

    async def _metrics(self, asked: keda.GetMetricsRequest) -> keda.GetMetricsResponse:
        needed = await self._needed(dict(asked.scaledObjectRef.scalerMetadata))
        value = keda.MetricValue(metricName=METRIC, metricValue=round(needed.value), metricValueFloat=needed.value)
        return keda.GetMetricsResponse(metricValues=[value])

    async def _stream_is_active(
        self, asked: keda.ScaledObjectRef, context: ServicerContext[Any, Any]
    ) -> AsyncIterator[keda.IsActiveResponse]:
        """Say it at first and whenever it changes, until KEDA hangs up."""
        before = None
        while True:
            try:
                answer = await self._is_active(asked)
            except CerebroError as error:
                await context.abort(_status(error), str(error))
            if answer.result != before:
                before = answer.result
                yield answer
            await asyncio.sleep(PUSH_S)

    async def _needed(self, metadata: Mapping[str, str]) -> Need:
        return await self._ask(f"Bearer {metadata.get('apiKey', '')}", metadata)


def _told(answer: Callable[[Q], Awaitable[A]]) -> Callable[[Q, ServicerContext[Any, Any]], Awaitable[A]]:
    """Failures become the statuses of gRPC, with the sentence."""

    async def told(asked: Q, context: ServicerContext[Any, Any]) -> A:
        try:
            return await answer(asked)
        except CerebroError as error:
            await context.abort(_status(error), str(error))
            raise AssertionError("abort raises") from error

    return told


def _status(error: CerebroError) -> grpc.StatusCode:
    if isinstance(error, Unauthenticated):
        return grpc.StatusCode.UNAUTHENTICATED
    if isinstance(error, Forbidden):
        return grpc.StatusCode.PERMISSION_DENIED
    if isinstance(error, Invalid):
        return grpc.StatusCode.INVALID_ARGUMENT
    return grpc.StatusCode.UNAVAILABLE if error.retry else grpc.StatusCode.NOT_FOUND
