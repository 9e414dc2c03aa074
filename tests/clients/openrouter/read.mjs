// Reads what is on record with OpenRouter's client: `node read.mjs URL KEY ID`. Prints one JSON object of what it read.

import { OpenRouter } from "@openrouter/sdk";

const [url, key, id] = process.argv.slice(2);
const client = new OpenRouter({ apiKey: key, serverURL: url + "/api/v1" });
const missing = await client.generations.getGeneration({ id: id + "0" }).catch((error) => error);
console.log(
  JSON.stringify({
    generation: (await client.generations.getGeneration({ id })).data,
    activity: (await client.analytics.getUserActivity()).data,
    credits: (await client.credits.getCredits()).data,
    key: (await client.apiKeys.getCurrentKeyMetadata()).data,
    missing: [missing.name, missing.statusCode],
  }),
);
