#!/usr/bin/env bash
# Checks that the API does what its OpenAPI document says: made-up requests, right and wrong ones, and every answer
# held against the document.
#
#   tests/schemathesis.sh URL [OPTION...]     URL as in http://127.0.0.1:8086; options go to `schemathesis run`
#
# Needs Python 3.10 or newer. schemathesis is fetched from PyPI once, into target/tools.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
url=${1:?usage: tests/schemathesis.sh URL [OPTION...]}
shift

# A cancelled upload can be asked for until it is forgotten, so that it is no use after free.
# The seed is fixed: what is found once is found again.
export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1
exec "$("$here/tools.sh" schemathesis)" --config-file "$here/schemathesis.toml" run "${url%/}/api/v1/openapi.json" --url "$url" \
    --checks all --exclude-checks use_after_free --seed 1 --max-examples "${QUALM_EXAMPLES:-200}" "$@"
