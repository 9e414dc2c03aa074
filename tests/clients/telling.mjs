// Runs what a user does with a client, on each wire, and prints what came of it: `node PROGRAM URL KEY CLIENT,… WIRE…`.

export async function tell(clients) {
  const [url, key, names, ...wires] = process.argv.slice(2);
  const told = {};
  for (const [client, uses] of Object.entries(clients)) {
    if (!names.split(",").includes(client)) continue;
    told[client] = {};
    for (const wire of wires) {
      told[client][wire] = {};
      for (const [name, use] of Object.entries(uses)) {
        const place = { url, key, model: `${wire}/coder`, nonce: `nonce-${client}-${wire}-${name}`.replaceAll("_", "-") };
        try {
          told[client][wire][name] = [await use(place), ""];
        } catch (error) {
          told[client][wire][name] = [null, error.stack + "\n" + JSON.stringify(error)];
        }
      }
    }
  }
  console.log(JSON.stringify(told));
}

export function check(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
}
