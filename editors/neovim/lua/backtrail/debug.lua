--- Hands the program that stands still at its failure to nvim-dap, where that is installed.
local M = {}

--- Attaches to the address of an answer of `backtrail.debug`.
---@param answer { host: string, port: integer, token: string }
---@param notify fun(text: string, level?: integer)
function M.attach(answer, notify)
  local found, dap = pcall(require, 'dap')
  if not found then
    notify(
      ('the failed program waits for a debugger (DAP) at %s:%d; its `attach` needs token = %q. '):format(
        answer.host,
        answer.port,
        answer.token
      ) .. 'With nvim-dap installed it is attached to by itself.',
      vim.log.levels.WARN
    )
    return
  end
  dap.adapters.backtrail = { type = 'server', host = answer.host, port = answer.port }
  dap.run({ type = 'backtrail', request = 'attach', name = 'The failed program', token = answer.token })
end

return M
