"""What other people's autoscalers ask: KEDA over gRPC, the Kubernetes HPA over its external metrics API."""
