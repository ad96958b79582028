--- What happens in a buffer that Backtrail has attached to: hints and lenses are shown and kept fresh.
local M = {}

local CODELENS = 'textDocument/codeLens'
local INLAY_HINT = 'textDocument/inlayHint'

--- Asks for the lenses of every buffer of the client; a refresh names no buffer.
---@param client vim.lsp.Client
local function refresh_lenses(client)
  for bufnr in pairs(client.attached_buffers) do
    if vim.api.nvim_buf_is_loaded(bufnr) then
      vim.lsp.codelens.refresh({ bufnr = bufnr })
    end
  end
end

--- Handler of `workspace/codeLens/refresh`.
---@param ctx lsp.HandlerContext
function M.on_codelens_refresh(err, _, ctx)
  local client = vim.lsp.get_client_by_id(ctx.client_id)
  if not err and client and require('backtrail').shown.codelens then
    refresh_lenses(client)
  end
  return vim.NIL
end

---@param client vim.lsp.Client
---@param bufnr integer
function M.on_attach(client, bufnr)
  local shown = require('backtrail').shown
  if shown.inlay_hints and client:supports_method(INLAY_HINT, bufnr) then
    vim.lsp.inlay_hint.enable(true, { bufnr = bufnr })
  end
  if shown.codelens and client:supports_method(CODELENS, bufnr) then
    vim.lsp.codelens.refresh({ bufnr = bufnr })
  end
end

return M
