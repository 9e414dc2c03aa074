// Serves the mock with a file of fixtures until standard input closes, and keeps every request as it came.
//
// The mock keeps a journal of its own, but has translated each request to chat by then: pictures and thoughts are gone.

import { subscribe } from "node:diagnostics_channel";
import { LLMock } from "@copilotkit/aimock";

const seen = [];

subscribe("http.server.request.start", ({ request }) => {
  const chunks = [];
  const emit = request.emit;
  request.emit = (name, ...values) => {
    if (name === "data") chunks.push(values[0]);
    if (name === "end") {
      const { method, url, headers } = request;
      seen.push({ method, path: url, headers, text: Buffer.concat(chunks).toString("utf8") });
    }
    return emit.call(request, name, ...values);
  };
});

const mock = new LLMock({ host: "127.0.0.1", port: 0, strict: true, chunkSize: 5 });
mock.loadFixtureFile(process.argv[2]);
mock.mount("/seen", {
  async handleRequest(request, response, path) {
    const mark = path.slice(1);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(seen.filter((one) => one.text.includes(mark))));
    return true;
  },
});
console.log(await mock.start());
process.stdin.on("end", () => process.exit()).resume();
