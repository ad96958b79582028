--- `:Backtrail …` and the client side of the server's commands: ask the server, show what it says.
local M = {}

---@class backtrail.Subcommand
---@field method string The server's command.
---@field title string Heading of the window that shows the answer.
---@field about_file boolean Whether the command takes the buffer's URI.
---@field about_place? boolean Whether it takes the position of the cursor too.
---@field shown? fun(answer: table): boolean Shows the answer in its own way; false when it is like others.
---@field silent? boolean Whether the server says by itself what came of it.

---@type table<string, backtrail.Subcommand>
local subcommands = {
  trace = { method = 'backtrail.trace', title = 'Backtrail', about_file = true },
  explain = { method = 'backtrail.explain', title = 'Explanation', about_file = true },
  why = { method = 'backtrail.why', title = 'Why this value', about_file = true, about_place = true },
  fix = { method = 'backtrail.fix', title = 'Fix', about_file = true, silent = true },
  debug = {
    method = 'backtrail.debug',
    title = 'Debug',
    about_file = true,
    shown = function(answer)
      if answer.ready ~= true then
        return false
      end
      require('backtrail.debug').attach(answer, function(text, level)
        vim.notify('Backtrail: ' .. text, level)
      end)
      return true
    end,
  },
  compare = { method = 'backtrail.divergence', title = 'Compared with the last good run', about_file = true },
  prompt = { method = 'backtrail.showPrompt', title = 'What the model saw', about_file = true },
  status = { method = 'backtrail.status', title = 'Backtrail', about_file = false },
}

--- Only of use with an expression, so they come from code actions and have no name in `:Backtrail`.
---@type table<string, backtrail.Subcommand>
local from_actions = {
  evaluate = { method = 'backtrail.evaluate', title = 'Evaluated', about_file = true },
}

---@param text string
---@param level? integer
local function notify(text, level)
  vim.notify('Backtrail: ' .. text, level or vim.log.levels.INFO)
end

---@param bufnr integer
---@return vim.lsp.Client?
local function client_of(bufnr)
  return vim.lsp.get_clients({ name = 'backtrail', bufnr = bufnr })[1]
end

--- Text for a person opens in a window; a reason why nothing came of it is a message.
---@param subcommand backtrail.Subcommand
---@param answer any
local function show(subcommand, answer)
  if type(answer) ~= 'table' or subcommand.silent or (subcommand.shown and subcommand.shown(answer)) then
    return
  end
  if type(answer.markdown) == 'string' then
    local title = type(answer.title) == 'string' and answer.title or subcommand.title
    require('backtrail.window').open(title, answer.markdown)
  elseif type(answer.reason) == 'string' and answer.reason ~= '' then
    notify(answer.reason)
  end
end

--- Sends one command to the server and shows the answer.
---@param client vim.lsp.Client
---@param subcommand backtrail.Subcommand
---@param arguments any[]
---@param bufnr integer
local function request(client, subcommand, arguments, bufnr)
  local params = { command = subcommand.method, arguments = arguments }
  client:request('workspace/executeCommand', params, function(err, answer)
    if err then
      notify(err.message, vim.log.levels.ERROR)
    else
      show(subcommand, answer)
    end
  end, bufnr)
end

--- Runs a command that came from a code lens or a code action.
---@param name string
---@param command lsp.Command
---@param ctx lsp.HandlerContext
function M.execute(name, command, ctx)
  local client = vim.lsp.get_client_by_id(ctx.client_id)
  if client then
    request(client, subcommands[name] or from_actions[name], command.arguments or {}, ctx.bufnr)
  end
end

--- Handler of `window/showDocument`. The server asks to open the file of an explanation, whose text
--- comes as the command's answer too: that one is shown, in a window.
---@param params lsp.ShowDocumentParams
function M.on_show_document(err, params, ctx)
  if vim.endswith(params.uri, '-explanation.md') then
    return { success = true }
  end
  return vim.lsp.handlers['window/showDocument'](err, params, ctx)
end

--- Names that start with what was typed, sorted.
---@param typed string
---@return string[]
function M.complete(typed)
  local names = vim.tbl_filter(function(name)
    return vim.startswith(name, typed)
  end, vim.tbl_keys(subcommands))
  table.sort(names)
  return names
end

--- `:Backtrail [name]`; the status when no name is given.
---@param name string
function M.run(name)
  local subcommand = subcommands[name ~= '' and name or 'status']
  if not subcommand then
    notify(('no command %q; there are %s'):format(name, table.concat(M.complete(''), ', ')), vim.log.levels.ERROR)
    return
  end
  local bufnr = vim.api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client then
    notify('no server for this buffer; see :checkhealth backtrail', vim.log.levels.WARN)
    return
  end
  local arguments = subcommand.about_file and { vim.uri_from_bufnr(bufnr) } or {}
  if subcommand.about_place then
    local encoding = client.offset_encoding or 'utf-16'
    table.insert(arguments, vim.lsp.util.make_position_params(0, encoding).position)
  end
  request(client, subcommand, arguments, bufnr)
end

return M
