"""Reads what is on record with OpenRouter's client: `python read.py URL KEY ID`. Prints JSON of what it read."""

import json
import sys

from openrouter import OpenRouter
from openrouter.errors import NotFoundResponseError

url, key, id = sys.argv[1:]
with OpenRouter(api_key=key, server_url=url + "/api/v1") as client:
    try:
        client.generations.get_generation(id=id + "0")
        missing = ["found", 200]
    except NotFoundResponseError as error:
        missing = [type(error).__name__, error.status_code]
    read = {
        "generation": client.generations.get_generation(id=id).data,
        "activity": client.analytics.get_user_activity().data,
        "credits": client.credits.get_credits().data,
        "key": client.api_keys.get_current_key_metadata().data,
        "missing": missing,
    }
print(json.dumps(read, default=lambda model: model.model_dump(mode="json", by_alias=True)))
