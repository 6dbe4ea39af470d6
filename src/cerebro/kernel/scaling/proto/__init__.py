"""KEDA's messages, generated: python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. externalscaler.proto."""
