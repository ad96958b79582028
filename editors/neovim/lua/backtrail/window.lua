--- A floating window for Markdown; `q` or <Esc> closes it.
local M = {}

---@param lines string[]
---@return integer
local function widest(lines)
  local width = 0
  for _, line in ipairs(lines) do
    width = math.max(width, vim.fn.strdisplaywidth(line))
  end
  return width
end

--- Rows that the lines take once wrapped at `width` columns.
---@param lines string[]
---@param width integer
---@return integer
local function rows(lines, width)
  local count = 0
  for _, line in ipairs(lines) do
    count = count + math.max(1, math.ceil(vim.fn.strdisplaywidth(line) / width))
  end
  return count
end

---@param title string
---@param lines string[]
---@return vim.api.keyset.win_config
local function geometry(title, lines)
  local room = { columns = math.max(20, vim.o.columns - 8), lines = math.max(3, vim.o.lines - 6) }
  local width = math.min(math.max(widest(lines), #title + 2, 40), room.columns, 100)
  local height = math.min(rows(lines, width), room.lines)
  return {
    relative = 'editor',
    width = width,
    height = height,
    row = math.floor((vim.o.lines - height) / 2) - 1,
    col = math.floor((vim.o.columns - width) / 2),
    style = 'minimal',
    border = 'rounded',
    title = ' ' .. title .. ' ',
    title_pos = 'center',
  }
end

--- Opens the text and moves the cursor into it.
---@param title string
---@param markdown string
---@return integer window, integer buffer
function M.open(title, markdown)
  local lines = vim.split(vim.trim(markdown), '\r?\n')
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].modifiable = false
  vim.bo[buffer].filetype = 'markdown'
  local window = vim.api.nvim_open_win(buffer, true, geometry(title, lines))
  vim.wo[window].wrap = true
  vim.wo[window].linebreak = true
  vim.wo[window].conceallevel = 2
  for _, key in ipairs({ 'q', '<Esc>' }) do
    vim.keymap.set('n', key, '<Cmd>close<CR>', { buffer = buffer, nowait = true })
  end
  return window, buffer
end

return M
