# Has the code that reads these messages believe no length beyond the bound in its definition.
#
# What rosidl generates asks Fast CDR whether so many bytes are left, but that of services is read
# from a buffer that Fast CDR makes larger when it is asked for more: a request of 24 bytes that says
# it has 2 GB is given them. So the templates are taken with a check before it, and without a line on
# standard error for each message that is refused, which anybody could fill a log with.

find_package(rosidl_typesupport_fastrtps_c REQUIRED)

set(_templates "${CMAKE_CURRENT_BINARY_DIR}/bounded_templates")
file(COPY "${rosidl_typesupport_fastrtps_c_TEMPLATE_DIR}/" DESTINATION "${_templates}")
set(_template "${_templates}/msg__type_support_c.cpp.em")
file(READ "${_template}" _code)

function(replace_in_template before after)
  string(FIND "${_code}" "${before}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "rosidl's template has no more: ${before}")
  endif()
  string(REPLACE "${before}" "${after}" replaced "${_code}")
  set(_code "${replaced}" PARENT_SCOPE)
endfunction()

replace_in_template(
  "bool correct_size = cdr.jump(size)"
  "bool correct_size = size <= @(getattr(member.type, 'maximum_size', 'SIZE_MAX')) && cdr.jump(size)"
)
replace_in_template(
  "      fprintf(stderr, \"sequence size exceeds remaining buffer\\n\");\n"
  ""
)
replace_in_template(
  "cdr >> tmp;
    if (!ros_message->"
  "{
      auto before = cdr.get_state();
      uint32_t length = 0;
      cdr >> length;
      cdr.set_state(before);
      if (length > static_cast<uint64_t>(@(getattr(type_, 'maximum_size', 'UINT32_MAX'))) + 1) {
        return false;
      }
    }
    cdr >> tmp;
    if (!ros_message->"
)

file(WRITE "${_template}" "${_code}")
set(rosidl_typesupport_fastrtps_c_TEMPLATE_DIR "${_templates}")
