if vim.g.loaded_backtrail then
  return
end
vim.g.loaded_backtrail = true

vim.api.nvim_create_user_command('Backtrail', function(args)
  require('backtrail.commands').run(args.args)
end, {
  nargs = '?',
  complete = function(typed)
    return require('backtrail.commands').complete(typed)
  end,
  desc = 'Trace, explain, fix, or show what Backtrail knows',
})
