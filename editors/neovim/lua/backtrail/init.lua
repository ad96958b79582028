--- Backtrail for Neovim. `setup` is optional: `vim.lsp.enable('backtrail')` alone is enough.
local M = {}

---@class backtrail.Opts
---@field cmd? string[] The command that starts the server; `{ 'backtrail', 'serve' }` when absent.
---@field settings? table Settings of the server (see docs/settings.md), without the `backtrail` prefix.
---@field inlay_hints? boolean Show recorded values at the end of a line's names; true when absent.
---@field codelens? boolean Show what ran above it; true when absent.

--- What the buffers that attach from now on show.
---@type { inlay_hints: boolean, codelens: boolean }
M.shown = { inlay_hints = true, codelens = true }

--- Configures the server and enables it for Python files.
---@param opts? backtrail.Opts
function M.setup(opts)
  opts = opts or {}
  vim.validate('opts', opts, 'table')
  vim.validate('opts.cmd', opts.cmd, 'table', true)
  vim.validate('opts.settings', opts.settings, 'table', true)
  vim.validate('opts.inlay_hints', opts.inlay_hints, 'boolean', true)
  vim.validate('opts.codelens', opts.codelens, 'boolean', true)
  M.shown = {
    inlay_hints = opts.inlay_hints ~= false,
    codelens = opts.codelens ~= false,
  }
  local config = { cmd = opts.cmd }
  if opts.settings and next(opts.settings) then
    config.settings = { backtrail = opts.settings }
  end
  vim.lsp.config('backtrail', config)
  vim.lsp.enable('backtrail')
end

return M
