"""KEDA's protocol over a real channel: what is needed, whether anything is, and who is refused."""

import asyncio

import grpc
import pytest

from cerebro.kernel.scaling.ask import Need
from cerebro.kernel.scaling.keda import SERVICE, KedaScaler
from cerebro.kernel.scaling.proto import externalscaler_pb2 as keda
from cerebro.spine.errors import Invalid, Unauthenticated


async def ask(authorization, metadata):
    if authorization != "Bearer good":
        raise Unauthenticated("The API key is not valid.")
    return Need(float(metadata["said"]))


@pytest.fixture
async def call():
    stop, scaler = asyncio.Event(), KedaScaler(ask, "127.0.0.1", 0)
    running = asyncio.create_task(scaler.run(stop))
    async with asyncio.timeout(10):
        while not scaler.bound_port:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{scaler.bound_port}") as channel:

        async def made(method, answered, **metadata):
            reference = keda.ScaledObjectRef(name="web", namespace="shop", scalerMetadata=metadata)
            asked = keda.GetMetricsRequest(scaledObjectRef=reference) if method == "GetMetrics" else reference
            return await channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=type(asked).SerializeToString,
                response_deserializer=answered.FromString,
            )(asked, timeout=10)

        made.channel = channel
        yield made
    stop.set()
    await running


async def test_keda_learns_the_target_and_the_need(call):
    spec = await call("GetMetricSpec", keda.GetMetricSpecResponse, apiKey="good", target="2.5")
    value = await call("GetMetrics", keda.GetMetricsResponse, apiKey="good", said="7.25")
    active = await call("IsActive", keda.IsActiveResponse, apiKey="good", said="7.25", activationTarget="8")
    assert spec.metricSpecs[0].targetSizeFloat == 2.5
    assert value.metricValues[0].metricValueFloat == 7.25
    assert value.metricValues[0].metricName == spec.metricSpecs[0].metricName
    assert active.result is False


async def test_a_stream_says_at_once_whether_it_is_active(call):
    stream = call.channel.unary_stream(
        f"/{SERVICE}/StreamIsActive",
        request_serializer=keda.ScaledObjectRef.SerializeToString,
        response_deserializer=keda.IsActiveResponse.FromString,
    )(keda.ScaledObjectRef(scalerMetadata={"apiKey": "good", "said": "1"}), timeout=10)
    async for answer in stream:
        assert answer.result is True
        break
    stream.cancel()


async def test_strangers_and_nonsense_are_refused_in_its_own_words(call):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call("GetMetrics", keda.GetMetricsResponse, said="1")
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    for target in ("", "-1", "many"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call("GetMetricSpec", keda.GetMetricSpecResponse, apiKey="good", target=target)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "target" in refused.value.details()


async def test_it_listens_in_the_clear_on_loopback_only():
    with pytest.raises(Invalid, match="loopback"):
        await KedaScaler(ask, "0.0.0.0", 0).run(asyncio.Event())
