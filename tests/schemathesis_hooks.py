"""How bodies are sent that are neither JSON nor CSV: as they are."""

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
