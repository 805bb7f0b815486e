-- load.lua - wrk: POST to one of many keys in turn; the figures come as one line of JSON at the end.
-- SPDX-License-Identifier: Apache-2.0
--
-- wrk ... -s load.lua URL -- PATH KEYS     PATH has %d where the number of the key goes.
-- Requests are built once, before the clock runs: what is measured is the server, not string formatting.

local requests, at = {}, 0

function init(args)
   local path, keys = args[1], tonumber(args[2])
   for i = 1, keys do
      local number = i - 1
      requests[i] = wrk.format("POST", (path:gsub("%%d", number)))
   end
   -- Every connection starts somewhere else; the order is the same in every run.
   math.randomseed(7)
   for i = keys, 2, -1 do
      local j = math.random(i)
      requests[i], requests[j] = requests[j], requests[i]
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      "\nRESULT {\"requests\": %d, \"duration_us\": %d, \"p50_us\": %d, \"p99_us\": %d, \"p999_us\": %d, "
         .. "\"refused\": %d, \"broken\": %d, \"timeouts\": %d}\n",
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
