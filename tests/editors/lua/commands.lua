--- The commands, their completion, and the health report, with and without a server.
local driver = dofile(vim.env.STORY_DRIVER)

local function health()
  vim.cmd('checkhealth backtrail')
  local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
  vim.cmd('bwipeout!')
  return text
end

driver.tell(function(seen)
  seen.completion = vim.fn.getcompletion('Backtrail ', 'cmdline')
  seen.narrowed = vim.fn.getcompletion('Backtrail st', 'cmdline')
  vim.cmd('Backtrail trace')
  seen.health_before = health()

  require('backtrail').setup({ settings = vim.json.decode(vim.env.STORY_SETTINGS) })
  vim.cmd.edit('readings.py')
  driver.client()
  vim.cmd('Backtrail')
  seen.status = driver.floating_text('the status')
  vim.cmd('Backtrail trace')
  driver.wait('a diagnostic', function()
    return #vim.diagnostic.get(0) > 0
  end)
  vim.cmd('Backtrail nonsense')
  seen.health_after = health()

  require('backtrail.window').open('Title', 'one\ntwo')
  seen.window = vim.api.nvim_win_get_config(0).title[1][1]
  vim.api.nvim_feedkeys('q', 'x', false)
  seen.windows_left = #vim.api.nvim_list_wins()
end)
