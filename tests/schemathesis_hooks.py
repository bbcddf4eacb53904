"""How bodies are sent that are neither JSON nor CSV: as they are."""

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def as_it_is(context, value):
    # What is no text cannot stand in such a body; written as JSON it might be a line of it by chance.
    if not isinstance(value, (bytes, str)):
        return b"\0"
    return value if isinstance(value, bytes) else value.encode(errors="replace")
