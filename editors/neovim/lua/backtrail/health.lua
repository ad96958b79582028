--- `:checkhealth backtrail`: a table of checks, each a question with what to do when the answer is no.
local M = {}

local TIMEOUT_MS = 5000

--- `run` gives whether it is well (nil: it cannot be told yet), what was found, and what to do.
---@class backtrail.Check
---@field name string
---@field run fun(): boolean?, string, string[]?

---@return string[]
local function server_command()
  local config = vim.lsp.config.backtrail
  return config and type(config.cmd) == 'table' and config.cmd or {}
end

--- The command without what follows the program, so that it can be asked for its version.
---@param cmd string[]
---@return string[]
local function asking_version(cmd)
  local program = {}
  for _, word in ipairs(cmd) do
    if word == 'serve' then
      break
    end
    program[#program + 1] = word
  end
  program[#program + 1] = '--version'
  return program
end

---@return boolean, string, string[]?
local function neovim()
  local version = tostring(vim.version())
  return vim.fn.has('nvim-0.11') == 1, 'Neovim ' .. version, { 'Neovim 0.11 or newer is needed.' }
end

---@return boolean, string, string[]?
local function server()
  local cmd = server_command()
  local shown = table.concat(cmd, ' ')
  local install = {
    'Install it: pip install "backtrail[model]" (or pipx, or uv tool install).',
    "Or name it: require('backtrail').setup({ cmd = { '/path/to/backtrail', 'serve' } })",
  }
  if #cmd == 0 then
    return false, 'no command to start the server', { 'Put editors/neovim on the runtime path.' }
  elseif vim.fn.executable(cmd[1]) == 0 then
    return false, ('%s is not executable'):format(cmd[1]), install
  end
  local started, done = pcall(function()
    return vim.system(asking_version(cmd), { text = true }):wait(TIMEOUT_MS)
  end)
  local version = started and done.code == 0 and done.stdout:match('backtrail (%S+)')
  if not version then
    local why = started and vim.trim(done.stderr or '') or tostring(done)
    return false, ('%s does not answer: %s'):format(shown, why), install
  end
  return true, ('Backtrail %s (%s)'):format(version, vim.fn.exepath(cmd[1]))
end

---@return boolean, string, string[]?
local function enabled()
  if vim.lsp.is_enabled('backtrail') then
    return true, 'enabled for Python files'
  end
  return false, 'not enabled', { "Put in your init.lua: vim.lsp.enable('backtrail')" }
end

---@return boolean?, string, string[]?
local function attached()
  local client = vim.lsp.get_clients({ name = 'backtrail' })[1]
  if not client then
    return nil, 'no server runs', { 'It starts with the first Python file.' }
  end
  return true, ('running for %s'):format(client.root_dir or 'single files')
end

--- What the server says of itself: interpreter, entry, model host, guard, last run.
---@return boolean?, string, string[]?
local function status()
  local client = vim.lsp.get_clients({ name = 'backtrail' })[1]
  if not client then
    return nil, 'interpreter and model host are known once a server runs'
  end
  local params = { command = 'backtrail.status', arguments = {} }
  local answer, why = client:request_sync('workspace/executeCommand', params, TIMEOUT_MS)
  if not answer or answer.err or type(answer.result) ~= 'table' then
    local reason = answer and answer.err and answer.err.message or why or 'an empty answer'
    return false, 'the server did not tell its status: ' .. reason, { 'See :lua vim.cmd.edit(vim.lsp.get_log_path())' }
  end
  return true, answer.result.markdown
end

---@type backtrail.Check[]
local checks = {
  { name = 'Neovim', run = neovim },
  { name = 'Server', run = server },
  { name = 'Configuration', run = enabled },
  { name = 'Client', run = attached },
  { name = 'Status', run = status },
}

function M.check()
  for _, check in ipairs(checks) do
    vim.health.start('backtrail: ' .. check.name)
    local well, found, advice = check.run()
    if well then
      vim.health.ok(found)
    elseif well == nil then
      vim.health.info(table.concat({ found, unpack(advice or {}) }, '. '))
    else
      vim.health.error(found, advice)
    end
  end
end

return M
