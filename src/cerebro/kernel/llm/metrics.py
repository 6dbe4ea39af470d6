"""What language models are asked, and what that costs."""

from prometheus_client import Counter, Histogram

CALLS = Counter("cerebro_llm_calls_total", "Calls to language models, by what came of them.", ["provider", "outcome"])
TOKENS = Counter("cerebro_llm_tokens_total", "Tokens sent and received.", ["provider", "direction"])
MASKED = Counter("cerebro_llm_masked_total", "Values masked before anything left, by what they are.", ["what"])
SECONDS = Histogram(
    "cerebro_llm_seconds", "Time to an answer of a language model.", buckets=(0.25, 0.5, 1, 2, 4, 8, 16, 32)
)
WORDINGS = Counter(
    "cerebro_llm_wordings_total", "Stories worded by a model, by whether they were accepted.", ["outcome"]
)
