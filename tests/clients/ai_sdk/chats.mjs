// What a user does with the AI SDK, by each of its providers for Messages and Chat Completions.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { APICallError, generateObject, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";

import { check, tell } from "../telling.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const providers = {
  anthropic: {
    of: ({ url, key }) => createAnthropic({ baseURL: `${url}/v1`, apiKey: key }),
    options: { anthropic: { thinking: { type: "enabled", budgetTokens: 2000 } } },
  },
  chat: {
    of: ({ url, key }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).chat,
    options: { openai: { forceReasoning: true, reasoningEffort: "medium" } },
  },
  compatible: {
    of: ({ url, key }) => createOpenAICompatible({ name: "trunkline", baseURL: `${url}/v1`, apiKey: key }),
    options: { trunkline: { reasoningEffort: "medium" } },
  },
  openrouter: {
    of: ({ url, key }) => createOpenRouter({ baseURL: `${url}/v1`, apiKey: key }),
    options: { openrouter: { reasoning: { effort: "medium" } } },
  },
};

const weather = tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Rain in ${city}`,
});

function usesOf({ of, options }) {
  const settings = (place) => ({ model: of(place)(place.model), maxRetries: 0, maxOutputTokens: 4000 });
  return {
    async plain(place) {
      const { text, usage } = await generateText({ ...settings(place), prompt: place.nonce });
      check(usage.inputTokens > 0, "tokens of the question");
      return text;
    },
    async stream(place) {
      const result = streamText({ ...settings(place), prompt: place.nonce });
      const pieces = [];
      for await (const piece of result.textStream) pieces.push(piece);
      check(pieces.length > 1, "several pieces");
      check((await result.finishReason) === "stop", "an end");
      return pieces.join("");
    },
    async tools(place) {
      const more = { tools: { get_weather: weather }, stopWhen: isStepCount(10), providerOptions: options };
      const messages = [{ role: "user", content: `Compare Oslo and Bergen. ${place.nonce}` }];
      const first = await generateText({ ...settings(place), ...more, messages });
      messages.push(...first.responseMessages, { role: "user", content: "And where should I go?" });
      const second = streamText({ ...settings(place), ...more, messages });
      return [first.text, await second.text];
    },
    async parse(place) {
      const schema = z.object({ city: z.string(), degrees: z.number() });
      return (await generateObject({ ...settings(place), schema, prompt: place.nonce })).object;
    },
    async error(place) {
      try {
        await generateText({ ...settings({ ...place, model: "no/such-model" }), prompt: place.nonce });
      } catch (error) {
        check(APICallError.isInstance(error), error.stack);
        return [error.statusCode, error.message.includes("no/such-model")];
      }
    },
  };
}

await tell(Object.fromEntries(Object.entries(providers).map(([name, each]) => [`ai-sdk-${name}`, usesOf(each)])));
