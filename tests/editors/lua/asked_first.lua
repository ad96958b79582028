--- Nothing runs before the person said yes; the question says what will run.
local driver = dofile(vim.env.STORY_DRIVER)

driver.tell(function(seen)
  local answer
  vim.ui.select = function(items, opts, on_choice)
    seen.question = opts.prompt
    seen.answers = vim.tbl_map(opts.format_item or tostring, items)
    answer = function(title)
      for _, item in ipairs(items) do
        if item.title == title then
          on_choice(item)
        end
      end
    end
  end
  -- Without `setup`: it is optional.
  vim.lsp.config('backtrail', { settings = { backtrail = vim.json.decode(vim.env.STORY_SETTINGS) } })
  vim.lsp.enable('backtrail')
  vim.cmd.edit('readings.py')
  driver.client()
  vim.cmd.write()
  driver.wait('the question', function()
    return answer
  end)
  seen.ran_before = vim.uv.fs_stat('ran.txt') ~= nil
  answer('Always for this workspace')
  driver.wait('a diagnostic', function()
    return #vim.diagnostic.get(0) > 0
  end)
end)
