-- The configuration that `vim.lsp.enable('backtrail')` reads. It is data; what it calls is loaded on first use.

---@param name string
local function command(name)
  return function(cmd, ctx)
    require('backtrail.commands').execute(name, cmd, ctx)
  end
end

---@type vim.lsp.Config
return {
  cmd = { 'backtrail', 'serve' },
  filetypes = { 'python' },
  root_markers = { 'pyproject.toml', 'setup.cfg', 'setup.py', 'pytest.ini', 'tox.ini', '.git' },
  -- An empty Lua table would be sent as a list.
  settings = { backtrail = vim.empty_dict() },
  -- Neovim 0.11 draws code lenses but does not yet offer to draw them again when the server asks.
  capabilities = { workspace = { codeLens = { refreshSupport = true } } },
  handlers = {
    ['workspace/codeLens/refresh'] = function(err, result, ctx)
      return require('backtrail.attach').on_codelens_refresh(err, result, ctx)
    end,
    ['window/showDocument'] = function(err, params, ctx)
      return require('backtrail.commands').on_show_document(err, params, ctx)
    end,
  },
  -- These answer with text for a person, so that a lens or an action has something to show.
  commands = {
    ['backtrail.trace'] = command('trace'),
    ['backtrail.explain'] = command('explain'),
    ['backtrail.why'] = command('why'),
    ['backtrail.fix'] = command('fix'),
    ['backtrail.debug'] = command('debug'),
    ['backtrail.divergence'] = command('compare'),
    ['backtrail.evaluate'] = command('evaluate'),
    ['backtrail.showPrompt'] = command('prompt'),
    ['backtrail.status'] = command('status'),
  },
  on_attach = function(client, bufnr)
    require('backtrail.attach').on_attach(client, bufnr)
  end,
}
