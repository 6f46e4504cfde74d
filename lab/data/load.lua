-- A wrk script: POSTs JSON files as a browser would, in turn and again, and ends with what it measured as one
-- line of JSON.
-- wrk -s load.lua URL -- FOLDER COUNT [CONTENT_ENCODING]
-- Of the files FOLDER/0 to FOLDER/(COUNT - 1), each goes to a path of its own: URL/0 to URL/(COUNT - 1).

local requests, sent = {}, 0

function init(arguments)
  local folder, count, encoding = arguments[1], tonumber(arguments[2]), arguments[3]
  wrk.method = "POST"
  wrk.headers["accept"] = "application/json, text/plain, */*"
  wrk.headers["authorization"] = "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"
  wrk.headers["content-encoding"] = encoding
  wrk.headers["content-type"] = "application/json"
  wrk.headers["cookie"] = "session=s-81f00b; theme=dark"
  wrk.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
  for number = 0, count - 1 do
    local file = assert(io.open(folder .. "/" .. number, "rb"))
    local path = ("%s/%d?page=1&sort=asc"):format(wrk.path, number)
    requests[number] = wrk.format(nil, path, nil, file:read("*a"))
    file:close()
  end
  requests.count = count
end

function request()
  sent = sent + 1
  return requests[sent % requests.count]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(
    ('\n{"requests": %d, "failed": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d}\n'):format(
      summary.requests,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      summary.duration,
      latency:percentile(50),
      latency:percentile(99)
    )
  )
end
