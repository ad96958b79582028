--- What the stories share: waiting for a thing to become true, reading what is on the screen, reporting.
local M = { seen = {} }

local PATIENCE_MS = tonumber(vim.env.STORY_PATIENCE_MS) or 30000

--- Waits until `ask` gives something that is neither nil nor false, and gives that.
---@param what string What is waited for, for the report of a failure.
---@param ask fun(): any
function M.wait(what, ask)
  local found
  local came = vim.wait(PATIENCE_MS, function()
    found = ask()
    return found ~= nil and found ~= false
  end, 20)
  if not came then
    error('waited in vain for ' .. what, 0)
  end
  return found
end

function M.client()
  return M.wait('the server', function()
    local client = vim.lsp.get_clients({ name = 'backtrail' })[1]
    return client and client.initialized and client
  end)
end

--- Sets the plugin up, opens `file`, and saves it; what failed is a diagnostic when this comes back.
function M.save_what_fails(file)
  require('backtrail').setup({ settings = vim.json.decode(vim.env.STORY_SETTINGS) })
  vim.cmd.edit(file)
  M.client()
  vim.cmd.write()
  M.wait('a diagnostic', function()
    return #vim.diagnostic.get(0) > 0
  end)
end

--- Asks the server and gives its answer.
function M.request(method, params)
  local answer, why = M.client():request_sync(method, params, PATIENCE_MS, 0)
  assert(answer, why)
  assert(not answer.err, answer.err and vim.inspect(answer.err))
  return answer.result
end

--- Puts the cursor on the first place where `pattern` is found (plain text).
function M.cursor_on(text)
  for number, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, false)) do
    local column = line:find(text, 1, true)
    if column then
      vim.api.nvim_win_set_cursor(0, { number, column - 1 })
      return
    end
  end
  error('not in the buffer: ' .. text, 0)
end

---@return string[] messages of the diagnostics of the buffer
function M.diagnostics()
  return vim.tbl_map(function(diagnostic)
    return diagnostic.message
  end, vim.diagnostic.get(0))
end

---@return integer?
local function floating()
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(window).relative ~= '' then
      return window
    end
  end
end

--- Waits for a floating window and gives its text; closes it.
function M.floating_text(what)
  local window = M.wait(what, floating)
  local lines = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false)
  vim.api.nvim_win_close(window, true)
  return table.concat(lines, '\n')
end

---@return string[] the hints as they are drawn
function M.hints()
  return vim.tbl_map(function(entry)
    local label = entry.inlay_hint.label
    return type(label) == 'string' and label
      or table.concat(vim.tbl_map(function(part)
        return part.value
      end, label))
  end, vim.lsp.inlay_hint.get({ bufnr = 0 }))
end

---@return string[] the titles of the lenses
function M.lenses()
  return vim.tbl_map(function(lens)
    return lens.command and lens.command.title or ''
  end, vim.lsp.codelens.get(0))
end

--- The code actions at the cursor, as the editor's own menu would list them.
function M.actions()
  local params = vim.lsp.util.make_range_params(0, M.client().offset_encoding)
  params.context = { diagnostics = {}, triggerKind = 1 }
  for _, diagnostic in ipairs(vim.diagnostic.get(0, { lnum = params.range.start.line })) do
    table.insert(params.context.diagnostics, diagnostic.user_data.lsp)
  end
  return M.request('textDocument/codeAction', params) or {}
end

---@param pattern string Lua pattern
function M.action(pattern)
  for _, action in ipairs(M.actions()) do
    if action.title:find(pattern) then
      return action
    end
  end
end

--- Runs a story and writes what it saw, or where it broke, as JSON to $STORY_REPORT; then leaves.
---@param story fun(seen: table)
function M.tell(story)
  vim.opt.runtimepath:append(vim.env.STORY_RUNTIME)
  vim.cmd('runtime plugin/backtrail.lua')
  vim.o.swapfile = false
  local notified = {}
  vim.notify = function(message)
    table.insert(notified, message)
  end
  local well, problem = xpcall(function()
    story(M.seen)
  end, debug.traceback)
  if not well then
    M.seen.problem = problem
    M.seen.on_screen = { diagnostics = M.diagnostics(), lenses = M.lenses(), hints = M.hints() }
  end
  M.seen.notified = notified
  vim.fn.writefile({ vim.json.encode(M.seen) }, vim.env.STORY_REPORT)
  vim.cmd('qall!')
end

return M
