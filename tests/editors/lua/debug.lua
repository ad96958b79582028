--- The failed program is handed to nvim-dap where there is one; without it the address is told.
local driver = dofile(vim.env.STORY_DRIVER)

driver.tell(function(seen)
  driver.save_what_fails('readings.py')
  local told = {}
  local notify = vim.notify
  vim.notify = function(text)
    table.insert(told, text)
  end
  vim.cmd('Backtrail debug')
  driver.wait('the address', function()
    return #told > 0
  end)
  vim.notify = notify
  seen.told = told[1]

  local ran
  package.preload.dap = function()
    return {
      adapters = {},
      run = function(config)
        ran = config
      end,
    }
  end
  vim.cmd('Backtrail debug')
  driver.wait('nvim-dap', function()
    return ran
  end)
  seen.ran, seen.adapter = ran, require('dap').adapters.backtrail
end)
