--- Open, save, look, fix, save: the main job with the keys and commands that a person has.
local driver = dofile(vim.env.STORY_DRIVER)

driver.tell(function(seen)
  seen.asked = {}
  vim.ui.select = function(items, opts, on_choice)
    table.insert(seen.asked, opts.prompt)
    for _, item in ipairs(items) do
      if item.title == 'Not now' then
        return on_choice(item)
      end
    end
    on_choice(nil)
  end
  driver.save_what_fails('readings.py')
  local diagnostic = vim.diagnostic.get(0)[1]
  seen.diagnostic = {
    message = diagnostic.message,
    line = vim.api.nvim_buf_get_lines(0, diagnostic.lnum, diagnostic.lnum + 1, false)[1],
    source = diagnostic.source,
  }

  driver.cursor_on('hours[')
  vim.lsp.buf.hover()
  seen.hover = driver.floating_text('the hover')
  seen.hints = driver.wait('inlay hints', function()
    local hints = driver.hints()
    return #hints > 0 and hints
  end)
  seen.lenses = driver.wait('code lenses', function()
    local lenses = driver.lenses()
    return table.concat(lenses, ' '):find('fail') and lenses
  end)

  vim.cmd('Backtrail explain')
  seen.explanation = driver.floating_text('the explanation')

  driver.cursor_on('latest = hours')
  seen.search = driver.wait('the offer to search for a fix', function()
    return driver.action('^Fix .*…$')
  end).title
  vim.lsp.buf.code_action({
    apply = true,
    filter = function(action)
      return action.title == seen.search
    end,
  })
  -- The question ends the search: until then what is on offer may still be replaced by a better one.
  driver.wait('the question', function()
    return #seen.asked > 0
  end)
  local fix = driver.wait('a fix that passes', function()
    return driver.action('^Fix: ')
  end)
  seen.fix = { title = fix.title, kind = fix.kind, preferred = fix.isPreferred }

  local before = vim.api.nvim_buf_get_changedtick(0)
  vim.lsp.buf.code_action({
    apply = true,
    filter = function(action)
      return action.title == fix.title
    end,
  })
  driver.wait('the edit', function()
    return vim.api.nvim_buf_get_changedtick(0) > before
  end)
  seen.edited = vim.api.nvim_buf_get_lines(0, 0, -1, false)
  vim.cmd.write()
  driver.wait('the diagnostic to go', function()
    return #vim.diagnostic.get(0) == 0
  end)
  seen.lenses_after = driver.wait('a lens that says it passed', function()
    local lenses = driver.lenses()
    local text = table.concat(lenses, ' ')
    return text:find('pass') and not text:find('fail') and lenses
  end)

  vim.cmd('Backtrail prompt')
  seen.prompt = driver.floating_text('what the model saw')
end)
